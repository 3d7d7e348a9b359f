import { startCpuProfile } from "node:v8";
import { type CancelScope, pause } from "../threads/index.ts";
import { cpuProfileOf, mendProfile } from "./cpu-profile.ts";
import { type InspectableThreads, type InspectedThread, ThreadUnavailable } from "./inspected-thread.ts";

/** The id of the main thread in Node. */
export const MAIN_THREAD = 0;

/** A profile is being taken already. One at a time, because it slows the service down. */
export class InspectorBusy extends Error {}

/** CPU profiles of any thread but the journal's. Main thread only. */
export class ThreadInspector {
  readonly #threads: InspectableThreads;
  #busy = false;

  constructor(threads: InspectableThreads) {
    this.#threads = threads;
  }

  /** Whether a profile is being taken, for the leak tests. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The text of a `.cpuprofile` over `ms`, or less where `stop` is canceled before. Rejects with `InspectorBusy` or `ThreadUnavailable`. */
  async cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string> {
    this.#take();
    try {
      if (threadId !== MAIN_THREAD) return mendProfile(await cpuProfileOf(this.#find(threadId), ms, stop));
      const profile = startCpuProfile();
      await pause(ms, stop);
      return mendProfile(profile.stop());
    } finally {
      this.#busy = false;
    }
  }

  #find(id: number): InspectedThread {
    const worker = this.#threads.worker(id);
    if (worker === undefined) throw new ThreadUnavailable("unknown", `no thread of the pools has the id ${id}`);
    return { id, worker };
  }

  #take(): void {
    if (this.#busy) throw new InspectorBusy("a profile is being taken, and there is one at a time");
    this.#busy = true;
  }
}
