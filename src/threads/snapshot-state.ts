const ASKED = 0;
const TAKING = 1;
const TAKEN = 2;
const WITHDRAWN = 3;

/**
 * One word that two threads share about one heap snapshot: asked, then taking, then taken; or asked, then withdrawn. The thread
 * that is asked writes `taking` and `taken`, the other one `withdrawn`. Only the first step is contended: a snapshot that is
 * withdrawn never begins.
 */
export class SnapshotState {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(buffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#word = new Int32Array(buffer);
  }

  /** By the thread that takes it; false: nobody waits for it any more. From then on the thread stands still. */
  begin(): boolean {
    return Atomics.compareExchange(this.#word, 0, ASKED, TAKING) === ASKED;
  }

  /** By the thread that took it: it goes on. */
  taken(): void {
    Atomics.store(this.#word, 0, TAKEN);
  }

  /** By whoever asked; false: it has begun. */
  withdraw(): boolean {
    return Atomics.compareExchange(this.#word, 0, ASKED, WITHDRAWN) === ASKED;
  }

  get standsStill(): boolean {
    return Atomics.load(this.#word, 0) === TAKING;
  }
}
