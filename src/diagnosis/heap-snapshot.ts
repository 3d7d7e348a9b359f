import { MessageChannel, type MessagePort, postMessageToThread } from "node:worker_threads";
import { type InspectedThread, ThreadEnd, ThreadUnavailable } from "./inspected-thread.ts";
import { type SnapshotRequest, SnapshotState } from "./snapshot-state.ts";

// A thread of the shared pool returns to its event loop within milliseconds; a computing thread may take as long as its step.
const TAKE_MESSAGE_MS = 10_000;

/**
 * Of a worker thread; see `ThreadInspector.heapSnapshot`. `goesOn` is called when the thread stands still no longer.
 *
 * Rejected: `worker.getHeapSnapshot()`, which reads the thread's heap from the main thread. It crashes the process with a segmentation fault
 * when the thread ends before everything is read (seen on Node 26.10), and blocks the main thread while it writes.
 */
export async function* heapSnapshotOf(
  thread: InspectedThread,
  goesOn: () => void,
  takeMessageMs = TAKE_MESSAGE_MS,
): AsyncGenerator<Uint8Array> {
  using end = new ThreadEnd(thread);
  const { port1, port2 } = new MessageChannel();
  const state = new SnapshotState();
  const pieces = new Pieces(port1);
  // Before the request: the thread may stand still before the main thread knows that the message has arrived.
  thread.snapshot = state;
  try {
    await end.orBefore(ask(thread, port2, state, takeMessageMs));
    for (let piece = await pieces.next(); piece !== null; piece = await pieces.next()) {
      if (thread.snapshot !== undefined) {
        thread.snapshot = undefined;
        goesOn();
      }
      if (piece === undefined) throw end.error();
      yield piece;
      port1.postMessage("next");
    }
  } finally {
    state.withdraw();
    thread.snapshot = undefined;
    port1.close();
  }
}

async function ask({ id }: InspectedThread, port: MessagePort, state: SnapshotState, takeMessageMs: number): Promise<void> {
  const request: SnapshotRequest = { type: "heap_snapshot", port, state: state.buffer };
  try {
    await postMessageToThread(id, request, [port], takeMessageMs);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_WORKER_MESSAGING_FAILED") throw new ThreadUnavailable("ended", `thread ${id} has ended meanwhile`);
    if (code !== "ERR_WORKER_MESSAGING_TIMEOUT") throw error;
    if (state.withdraw()) throw new ThreadUnavailable("busy", `thread ${id} computes and takes no message`);
  }
}

/** The messages of a port, one at a time; undefined once its other end is gone. */
class Pieces {
  readonly #come: (Uint8Array | null | undefined)[] = [];
  #waiting: (() => void) | undefined;

  constructor(port: MessagePort) {
    const add = (piece: Uint8Array | null | undefined) => {
      this.#come.push(piece);
      this.#waiting?.();
    };
    port.on("message", add);
    port.once("close", () => add(undefined));
  }

  async next(): Promise<Uint8Array | null | undefined> {
    if (this.#come.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve));
    return this.#come.shift();
  }
}
