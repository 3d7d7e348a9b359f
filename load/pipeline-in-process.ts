import { fileURLToPath } from "node:url";
import { CancelScope, Capacity } from "../src/threads/index.ts";
import type { OrderOutcome } from "../src/orders/outcome.ts";
import { Pipeline } from "../src/orders/pipeline.ts";
import type { Simulation } from "../src/orders/step.ts";
import { perStep } from "../src/orders/steps.ts";
import { ThreadRuntime } from "../src/threads/thread-runtime.ts";
import type { WorkerSettings } from "../workers/settings.ts";
import { orderIds } from "./order-ids.ts";

const WORKER_FILE = fileURLToPath(new URL("../workers/main.ts", import.meta.url));
const DEFAULT_GRACE_MS = 250; // The service's own.

export interface PipelineOptions {
  readonly threads: number;
  readonly cpuThreads: number;
  /** Orders at one time; every step has that capacity, so none waits for it. */
  readonly orders: number;
  readonly cancelGraceMs?: number;
}

/** The service's pipeline on the service's threads, without HTTP around it. */
export class PipelineInProcess implements AsyncDisposable {
  readonly #runtime: ThreadRuntime;
  readonly #pipeline: Pipeline;
  readonly #nextId = orderIds();

  private constructor(runtime: ThreadRuntime, orders: number) {
    this.#runtime = runtime;
    this.#pipeline = new Pipeline(
      runtime,
      perStep(() => new Capacity(orders)),
    );
  }

  static async start({ threads, cpuThreads, orders, cancelGraceMs = DEFAULT_GRACE_MS }: PipelineOptions): Promise<PipelineInProcess> {
    const runtime = await ThreadRuntime.start({
      workerFile: WORKER_FILE,
      threads,
      cpuThreads,
      cancelGraceMs,
      longestStepMs: 10_000,
      maxGroups: orders,
      settings: { stickBegun: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) } satisfies WorkerSettings,
    });
    return new PipelineInProcess(runtime, orders);
  }

  /** Runs an order with simulated providers. */
  run(simulation: Simulation, scope = new CancelScope()): Promise<OrderOutcome> {
    return this.#pipeline.run({ orderId: this.#nextId(), amount: 1200, attempt: 1, simulation }, scope);
  }

  /** Steps that run now, from the threads' own counters. */
  get stepsRunning(): number {
    return this.#runtime.totals().running;
  }

  get threadsReplaced(): number {
    return [...this.#runtime.replaced().values()].reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }
}
