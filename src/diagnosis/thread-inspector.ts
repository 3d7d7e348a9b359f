import { getHeapSnapshot, startCpuProfile } from "node:v8";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import { mendProfile } from "./cpu-profile.ts";

/** How worker threads are inspected. `src/threads` implements it. */
export interface InspectableThreads {
  /**
   * CPU profile of a thread, as the text of a `.cpuprofile`. The thread may compute. Stops after `ms` or when `stop` is canceled. Rejects with
   * `ThreadUnavailable`.
   */
  cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string>;
  /**
   * Heap snapshot of a thread, as the pieces of a `.heapsnapshot`. While the snapshot is taken the thread stands still, gets no steps and is not
   * replaced; it goes on while the pieces are read. Any piece may reject with `ThreadUnavailable`.
   */
  heapSnapshot(threadId: number): AsyncGenerator<Uint8Array>;
}

/** The id of the main thread in Node. */
export const MAIN_THREAD = 0;

/** A profile or a snapshot is being taken already. One at a time, because each slows the service down. */
export class InspectorBusy extends Error {}

/** CPU profiles and heap snapshots of any thread but the journal's. Main thread only. */
export class ThreadInspector {
  readonly #threads: InspectableThreads;
  #busy = false;

  constructor(threads: InspectableThreads) {
    this.#threads = threads;
  }

  /** Whether a profile or a snapshot is being taken, for the leak tests. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The text of a `.cpuprofile` over `ms`, or less where `stop` is canceled before. Rejects with `InspectorBusy` or `ThreadUnavailable`. */
  async cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string> {
    this.#take();
    try {
      if (threadId !== MAIN_THREAD) return mendProfile(await this.#threads.cpuProfile(threadId, ms, stop));
      const profile = startCpuProfile();
      await pause(ms, stop);
      return mendProfile(profile.stop());
    } finally {
      this.#busy = false;
    }
  }

  /** The pieces of a `.heapsnapshot`; rejects as `cpuProfile` does. The thread stands still until the first piece. */
  async *heapSnapshot(threadId: number): AsyncGenerator<Uint8Array> {
    this.#take();
    try {
      yield* threadId === MAIN_THREAD ? getHeapSnapshot() : this.#threads.heapSnapshot(threadId);
    } finally {
      this.#busy = false;
    }
  }

  #take(): void {
    if (this.#busy) throw new InspectorBusy("a profile or a snapshot is being taken, and there is one at a time");
    this.#busy = true;
  }
}
