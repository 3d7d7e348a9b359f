import { fileURLToPath } from "node:url";
import { transferableAbortController } from "node:util";
import { Piscina } from "piscina";

const WORKER_FILE = fileURLToPath(new URL("./signal-step.mjs", import.meta.url));

export interface SignalStep {
  readonly ms: number;
  readonly cpuMs?: number;
  readonly fails: boolean;
}

export interface SignalOutcome {
  readonly endedAtMs: number;
  readonly failed: boolean;
}

/**
 * Orders whose steps hear of their cancel by an `AbortSignal` that crosses threads: `util.transferableAbortController()`, which sends
 * the abort as a message. No thread is lost by it, so steps share threads as in this project.
 */
export class SignalOrders implements AsyncDisposable {
  readonly #pool: Piscina<SignalStep & { signal: AbortSignal }, SignalOutcome>;

  private constructor(threads: number, stepsAThread: number) {
    this.#pool = new Piscina({
      filename: WORKER_FILE,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: stepsAThread,
      // A thread that sleeps in `Atomics.wait` between two tasks would hear of nothing.
      atomics: "disabled",
    });
  }

  /** Resolves when all threads have started. */
  static async start(threads: number, stepsAThread: number): Promise<SignalOrders> {
    const orders = new SignalOrders(threads, stepsAThread);
    await Promise.all(Array.from({ length: threads }, () => orders.run([{ ms: 0, fails: false }])));
    return orders;
  }

  /** The first failure aborts the others. */
  async run(steps: readonly SignalStep[]): Promise<SignalOutcome[]> {
    // A signal can be transferred once, so each step needs one of its own.
    const aborts = steps.map(() => transferableAbortController());
    return await Promise.all(
      steps.map(async (step, n) => {
        const { signal } = aborts[n] as AbortController;
        const outcome = await this.#pool.run({ ...step, signal }, { transferList: [signal] as never });
        if (outcome.failed) for (const [other, abort] of aborts.entries()) if (other !== n) abort.abort();
        return outcome;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}
