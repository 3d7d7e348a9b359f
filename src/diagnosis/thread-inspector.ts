import { startCpuProfile } from "node:v8";
import { CancelScope, pause, type Threads } from "../threads/index.ts";

/** The id of the main thread in Node. */
export const MAIN_THREAD = 0;

/** A profile is being taken already. One at a time, because it slows the service down. */
export class InspectorBusy extends Error {}

/** The thread cannot be inspected. The message is for operators. */
export class ThreadUnavailable extends Error {
  /** `unknown`: no thread has that id. `ended`: it has ended meanwhile. */
  readonly reason: "unknown" | "ended";

  constructor(reason: ThreadUnavailable["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** CPU profiles of any thread but the journal's. */
export class ThreadInspector {
  readonly #threads: Pick<Threads, "worker">;
  #busy = false;

  constructor(threads: Pick<Threads, "worker">) {
    this.#threads = threads;
  }

  /** Whether a profile is being taken, for the leak tests. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The text of a `.cpuprofile` over `ms`, or until `stop` is canceled. Rejects with `InspectorBusy` or `ThreadUnavailable`. */
  async cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string> {
    if (this.#busy) throw new InspectorBusy("a profile is being taken, and there is one at a time");
    this.#busy = true;
    try {
      if (threadId !== MAIN_THREAD) return mendProfile(await this.#profileOf(threadId, ms, stop));
      const profile = startCpuProfile();
      await pause(ms, stop);
      return mendProfile(profile.stop());
    } finally {
      this.#busy = false;
    }
  }

  /** Node interrupts the thread, so it may compute without returning to its event loop. */
  async #profileOf(id: number, ms: number, stop: CancelScope): Promise<string> {
    const worker = this.#threads.worker(id);
    if (worker === undefined) throw new ThreadUnavailable("unknown", `no thread of the pools has the id ${id}`);
    const hasEnded = new ThreadUnavailable("ended", `thread ${id} has ended meanwhile`);
    const { promise: ended, reject } = Promise.withResolvers<never>();
    // The thread may end while nobody waits for its profile.
    ended.catch(() => {});
    const over = new CancelScope();
    const link = over.link(stop);
    const onExit = () => {
      reject(hasEnded);
      over.cancel("shutdown");
    };
    worker.once("exit", onExit);
    try {
      const profile = await Promise.race([worker.startCpuProfile(), ended]);
      await pause(ms, over);
      return await Promise.race([profile.stop(), ended]);
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === "ERR_WORKER_NOT_RUNNING" ? hasEnded : error;
    } finally {
      worker.off("exit", onExit);
      link.unsubscribe();
    }
  }
}

// A function's name and the field after it. Only the names of regular expressions have characters that JSON must escape.
const REGEXP_NAME = /("functionName":")(RegExp: .*?)(","lineNumber":)/gs;

/** Makes valid JSON of a profile that V8 has written: V8 does not escape the quotes and backslashes of regular expressions. */
export function mendProfile(json: string): string {
  return json.replace(
    REGEXP_NAME,
    (_all, before: string, name: string, after: string) => before + JSON.stringify(name).slice(1, -1) + after,
  );
}
