import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";

const WORKER_FILE = fileURLToPath(new URL("./step.mjs", import.meta.url));

export interface BaselineStep {
  readonly ms: number;
  readonly fails: boolean;
}

/**
 * Orders on a plain Piscina with its own `signal`, as anyone would write them: three tasks, and the first failure
 * aborts the others. A running task that is aborted costs its thread, which Piscina then replaces.
 */
export class PiscinaOrders implements AsyncDisposable {
  readonly #pool: Piscina<BaselineStep, void>;
  #destroyed = 0;

  private constructor(threads: number) {
    this.#pool = new Piscina({ filename: WORKER_FILE, minThreads: threads, maxThreads: threads });
    this.#pool.on("workerDestroy", () => this.#destroyed++);
    // A result that meets its own abort is an "unexpected message" to Piscina, and an error nobody listens to ends the process.
    this.#pool.on("error", () => {});
  }

  /** Resolves when all threads have started, so that their start is not held against it. */
  static async start(threads: number): Promise<PiscinaOrders> {
    const orders = new PiscinaOrders(threads);
    await Promise.all(Array.from({ length: threads }, () => orders.#pool.run({ ms: 0, fails: false })));
    return orders;
  }

  get threadsDestroyed(): number {
    return this.#destroyed;
  }

  async run(steps: readonly BaselineStep[]): Promise<void> {
    const abort = new AbortController();
    const tasks = steps.map((step) => this.#pool.run(step, { signal: abort.signal }));
    for (const task of tasks) task.catch(() => abort.abort());
    await Promise.allSettled(tasks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}
