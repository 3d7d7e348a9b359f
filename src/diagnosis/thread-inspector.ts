import { getHeapSnapshot, startCpuProfile } from "node:v8";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import { cpuProfileOf, mendProfile } from "./cpu-profile.ts";
import { heapSnapshotOf } from "./heap-snapshot.ts";
import { type InspectableThreads, ThreadUnavailable } from "./inspected-thread.ts";

/** The id of the main thread, as Node has it. */
export const MAIN_THREAD = 0;

/** Something is being taken already; one at a time, because each costs the service some of its speed. */
export class InspectorBusy extends Error {}

/** CPU profiles and heap snapshots of any thread but the journal's. Main thread only. */
export class ThreadInspector {
  readonly #threads: InspectableThreads;
  #busy = false;

  constructor(threads: InspectableThreads) {
    this.#threads = threads;
  }

  /** Whether something is being taken: the leak tests demand that it is not. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * JSON text of a `.cpuprofile` over `ms`, or less where `stop` is canceled before, whether the thread computes or not. Rejects with
   * `InspectorBusy`, or with `ThreadUnavailable` where there is no such thread, or not any more.
   */
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

  /**
   * Pieces of a `.heapsnapshot`. The thread stands still while it is taken, before the first piece: it gets no steps and is not replaced
   * for that. Any piece may reject as `cpuProfile` does, the first one also where the thread takes no message.
   */
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
