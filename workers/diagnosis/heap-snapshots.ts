import type { MessagePort } from "node:worker_threads";
import { type SnapshotRequest, SnapshotState } from "../../src/diagnosis/snapshot-state.ts";

/** Answers requests for heap snapshots of this thread. Calls `beat` after each standstill, for the heartbeat. */
export function giveHeapSnapshots(beat: () => void): void {
  process.on("workerMessage", (message: SnapshotRequest) => {
    // The message counts as received only when this listener has returned.
    if (message.type === "heap_snapshot") setImmediate(() => void give(message.port, new SnapshotState(message.state), beat));
  });
}

async function give(port: MessagePort, state: SnapshotState, beat: () => void): Promise<void> {
  const reader = new Reader(port);
  if (state.begin()) {
    // Loaded on demand.
    const snapshot = process.getBuiltinModule("node:v8").getHeapSnapshot();
    // The first read takes the whole snapshot into memory at once.
    snapshot.read(0);
    // Before `taken`: afterwards an old heartbeat would count as a stalled thread.
    beat();
    state.taken();
    for await (const piece of snapshot) {
      // A copy, because it is transferred: the piece may be a part of a larger buffer.
      const bytes = new Uint8Array(piece);
      port.postMessage(bytes, [bytes.buffer]);
      if (!(await reader.wantsMore())) break;
    }
    port.postMessage(null);
  }
  port.close();
}

/** The reader at the other end of the port: it sends a message for each further piece, and closes its end to stop. */
class Reader {
  #asked = 0;
  #isGone = false;
  #changed: (() => void) | undefined;

  constructor(port: MessagePort) {
    port.on("message", () => {
      this.#asked++;
      this.#changed?.();
    });
    port.once("close", () => {
      this.#isGone = true;
      this.#changed?.();
    });
  }

  /** Resolves with true once for each message of the reader, and with false once the reader is gone. */
  async wantsMore(): Promise<boolean> {
    while (this.#asked === 0 && !this.#isGone) await new Promise<void>((resolve) => (this.#changed = resolve));
    if (this.#isGone) return false;
    this.#asked--;
    return true;
  }
}
