import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import type { PoolThread } from "./pool-thread.ts";
import type { StandingTask, ThreadSetup } from "./protocol.ts";
import { atMost } from "./sleep.ts";

// Three semi-spaces of 2 MB. Tasks that wait survive any young generation: a larger one stays resident, and CPU per task is no lower.
const YOUNG_GENERATION_MB = 6;
// As published the library is JavaScript, in its own repository it is TypeScript.
const WORKER_FILE = new URL(import.meta.url.endsWith(".ts") ? "./worker/main.ts" : "./worker/main.js", import.meta.url);

/** A Piscina that starts a thread for each standing task, and none by itself. Throws what Piscina throws. */
export function piscinaOf(setup: ThreadSetup, heapMb: number): Piscina<StandingTask, never> {
  const piscina = new Piscina<StandingTask, never>({
    filename: WORKER_FILE.href,
    name: "standingTask",
    // Starting is ours: `PoolThreads` is the one place that limits it and waits after a death.
    minThreads: 0,
    maxThreads: setup.layout.rows,
    idleTimeout: Number.POSITIVE_INFINITY,
    // `sync` would freeze an idle thread in `Atomics.wait`: no heartbeat, no bell, no keep-alive sockets.
    atomics: "disabled",
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    workerData: setup,
  });
  // Each worker's own event says it, see `PoolWorkers`; without a listener this one would be thrown.
  piscina.on("error", () => {});
  return piscina;
}

interface Known {
  readonly id: number;
  /** Undefined until it is ready: which of the threads that start it will be is Piscina's choice. */
  thread?: PoolThread;
}

export interface WorkerEvents {
  /** A worker threw what nobody caught, null perhaps. `thread`: undefined before it was ready. */
  onError(error: NodeJS.ErrnoException | null | undefined, thread: PoolThread | undefined): void;
  onExit(id: number, thread: PoolThread | undefined): void;
}

/** Every worker of a pool that has not exited, those included that were terminated and cannot die. Main thread only. */
export class PoolWorkers {
  readonly #events: WorkerEvents;
  readonly #known = new Map<Worker, Known>();
  #exited: (() => void) | undefined;

  constructor(events: WorkerEvents) {
    this.#events = events;
  }

  get size(): number {
    return this.#known.size;
  }

  get loading(): number {
    let count = 0;
    for (const { thread } of this.#known.values()) if (thread === undefined) count++;
    return count;
  }

  /** Piscina reports no worker that dies while it starts, so every worker is watched as soon as it is there. */
  watch(workers: readonly Worker[]): void {
    for (const worker of workers) {
      if (this.#known.has(worker)) continue;
      const known: Known = { id: worker.threadId };
      this.#known.set(worker, known);
      worker.once("error", (error: NodeJS.ErrnoException | null | undefined) => this.#events.onError(error, known.thread));
      worker.once("exit", () => {
        this.#known.delete(worker);
        this.#events.onExit(known.id, known.thread);
        this.#exited?.();
      });
    }
  }

  /** A worker has said that it is ready, through the port of this thread. Returns it; undefined where there is none with this id. */
  bind(id: number, thread: PoolThread): Worker | undefined {
    for (const [worker, known] of this.#known) {
      if (known.id !== id || known.thread !== undefined) continue;
      known.thread = thread;
      return worker;
    }
    return undefined;
  }

  /** Resolves when all have exited, or when none has for `quietMs`. Those that are left keep the process no longer. */
  async ended(quietMs: number): Promise<void> {
    for (let left = -1; this.size > 0 && this.size !== left; ) {
      left = this.size;
      await atMost(new Promise<void>((resolve) => (this.#exited = resolve)), quietMs);
    }
    for (const worker of this.#known.keys()) worker.unref();
  }
}
