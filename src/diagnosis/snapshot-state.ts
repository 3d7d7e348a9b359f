import type { MessagePort } from "node:worker_threads";

/**
 * Asks a thread for its heap snapshot. It is a message and no task, so it can go to any thread. The thread sends the pieces through `port`, each a
 * `Uint8Array`, waits for an answer after each one, and sends null after the last one.
 */
export interface SnapshotRequest {
  readonly type: "heap_snapshot";
  readonly port: MessagePort;
  /** The buffer of a `SnapshotState`. */
  readonly state: SharedArrayBuffer;
}

const ASKED = 0;
const TAKING = 1;
const TAKEN = 2;
const WITHDRAWN = 3;

/**
 * The state of one heap snapshot, in one word of shared memory: asked, taking, taken; or asked, withdrawn. The inspected thread writes `taking`
 * and `taken`, the main thread `withdrawn`. Only the first change is contended: a withdrawn snapshot never begins.
 */
export class SnapshotState {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(buffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#word = new Int32Array(buffer);
  }

  /** Inspected thread: begins, and stands still from then on. False where the request was withdrawn. */
  begin(): boolean {
    return Atomics.compareExchange(this.#word, 0, ASKED, TAKING) === ASKED;
  }

  /** Inspected thread: it goes on. */
  taken(): void {
    Atomics.store(this.#word, 0, TAKEN);
  }

  /** Main thread: withdraws the request. False where the snapshot has begun. */
  withdraw(): boolean {
    return Atomics.compareExchange(this.#word, 0, ASKED, WITHDRAWN) === ASKED;
  }

  get standsStill(): boolean {
    return Atomics.load(this.#word, 0) === TAKING;
  }
}
