import { getHeapSnapshot, startCpuProfile } from "node:v8";
import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import { mendProfile } from "./cpu-profile.ts";

/** How worker threads are looked into; `threads` implements it. */
export interface InspectableThreads {
  /**
   * CPU profile of one of them, computing or not, as the JSON text of a `.cpuprofile`. Stops after `ms` or when `stop` is canceled. Rejects
   * with `ThreadUnavailable` where there is no such thread, or not any more.
   */
  cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string>;
  /**
   * Heap snapshot of one of them, as the pieces of a `.heapsnapshot`. The thread stands still while it is taken, gets no steps and is
   * not replaced for that; it goes on while the pieces are read. The first piece, or a later one, rejects with `ThreadUnavailable` where
   * there is no such thread, not any more, or none that takes a message.
   */
  heapSnapshot(threadId: number): AsyncGenerator<Uint8Array>;
}

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
   * JSON text of a `.cpuprofile` over `ms`, or less where `stop` is canceled before. Rejects with `InspectorBusy` or what the
   * threads reject with.
   */
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

  /** Pieces of a `.heapsnapshot`; rejects as `cpuProfile` does. The thread stands still while it is taken, before the first piece. */
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
