import { getHeapSnapshot } from "node:v8";
import type { MessagePort } from "node:worker_threads";
import { type SnapshotRequest, SnapshotState } from "../../src/diagnosis/snapshot-state.ts";

/** Makes this thread give its heap snapshot to whoever asks. Calls `beat` when it has stood still for one. */
export function giveHeapSnapshots(beat: () => void): void {
  process.on("workerMessage", (message: SnapshotRequest) => {
    // The sender hears that the message has come only when this listener is through.
    if (message.type === "heap_snapshot") setImmediate(() => void give(message.port, new SnapshotState(message.state), beat));
  });
}

async function give(port: MessagePort, state: SnapshotState, beat: () => void): Promise<void> {
  const reader = new Reader(port);
  if (state.begin()) {
    const snapshot = getHeapSnapshot();
    // The first read writes all of it into memory, at once.
    snapshot.read(0);
    // Before anybody may take this thread for one that has stopped by itself.
    beat();
    state.taken();
    for await (const piece of snapshot) {
      // A copy of its own, which moves: the piece may be a part of something larger.
      const bytes = new Uint8Array(piece);
      port.postMessage(bytes, [bytes.buffer]);
      if (!(await reader.wantsMore())) break;
    }
    port.postMessage(null);
  }
  port.close();
}

/** Whoever reads the other end of the port: says something when it wants more, and closes its end when it does not. */
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

  /** Resolves with true once for each time that it has asked, and with false once it is gone. */
  async wantsMore(): Promise<boolean> {
    while (this.#asked === 0 && !this.#isGone) await new Promise<void>((resolve) => (this.#changed = resolve));
    if (this.#isGone) return false;
    this.#asked--;
    return true;
  }
}
