import { getHeapSnapshot, startCpuProfile } from "node:v8";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import { cpuProfileOf, mendProfile } from "./cpu-profile.ts";
import { heapSnapshotOf } from "./heap-snapshot.ts";
import { type InspectableThreads, ThreadUnavailable } from "./inspected-thread.ts";

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
      if (threadId !== MAIN_THREAD) return mendProfile(await cpuProfileOf(this.#find(threadId).thread, ms, stop));
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
      if (threadId === MAIN_THREAD) yield* getHeapSnapshot();
      else {
        const { thread, goesOn } = this.#find(threadId);
        yield* heapSnapshotOf(thread, goesOn);
      }
    } finally {
      this.#busy = false;
    }
  }

  #find(threadId: number): NonNullable<ReturnType<InspectableThreads["inspectable"]>> {
    const found = this.#threads.inspectable(threadId);
    if (found === undefined) throw new ThreadUnavailable("unknown", `no thread of the pools has the id ${threadId}`);
    return found;
  }

  #take(): void {
    if (this.#busy) throw new InspectorBusy("a profile or a snapshot is being taken, and there is one at a time");
    this.#busy = true;
  }
}
