import type { MessagePort } from "node:worker_threads";

/**
 * Asks a thread for its heap snapshot; not a task, so that it can be asked of any thread. Its pieces come through `port`, each a
 * `Uint8Array` that waits for an answer before the next one is sent, and after the last one null.
 */
export interface SnapshotRequest {
  readonly type: "heap_snapshot";
  readonly port: MessagePort;
  /** Of `SnapshotState`. */
  readonly state: SharedArrayBuffer;
}

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
