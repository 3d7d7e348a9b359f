import { pathToFileURL } from "node:url";
import type { StepThreads } from "../src/composition/threads.ts";
import { type CancelCause, ORDER_CAUSES } from "../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../src/orders/outcome.ts";
import { Pipeline } from "../src/orders/pipeline.ts";
import type { Simulation } from "../src/orders/step.ts";
import { STEP_CODECS } from "../src/orders/step-task.ts";
import { perStep } from "../src/orders/steps.ts";
import { ThreadStepRunner } from "../src/orders/thread-step-runner.ts";
import { CancelScope, Capacity, openThreads } from "../src/threads/index.ts";
import type { WorkerSettings } from "../workers/settings.ts";
import { orderIds } from "./order-ids.ts";

const WORKER_FILE = new URL("../workers/main.ts", import.meta.url);
const DEFAULT_GRACE_MS = 250; // The service's own.

export interface PipelineOptions {
  readonly threads: number;
  readonly cpuThreads: number;
  /** Orders at one time; every step has that capacity, so none waits for it. */
  readonly orders: number;
  readonly cancelGraceMs?: number;
}

/** The class of the tree that has this `src/main.ts`: this one, or one that it is compared with. */
export async function pipelineOf(script: string): Promise<typeof PipelineInProcess> {
  const module = await import(new URL("../load/pipeline-in-process.ts", pathToFileURL(script)).href);
  return module.PipelineInProcess;
}

/** The service's pipeline on the service's threads, without HTTP around it. */
export class PipelineInProcess implements AsyncDisposable {
  readonly #threads: StepThreads;
  readonly #pipeline: Pipeline;
  readonly #nextId = orderIds();

  private constructor(threads: StepThreads, orders: number) {
    this.#threads = threads;
    this.#pipeline = new Pipeline(
      new ThreadStepRunner(threads, (step, orderId, stack) => process.emitWarning(`${step} of ${orderId}: ${stack}`)),
      perStep(() => new Capacity(orders)),
    );
  }

  static async start({ threads, cpuThreads, orders, cancelGraceMs = DEFAULT_GRACE_MS }: PipelineOptions): Promise<PipelineInProcess> {
    const opened: StepThreads = await openThreads({
      file: WORKER_FILE,
      shared: threads,
      exclusive: cpuThreads,
      exclusiveOnDemand: false,
      causes: ORDER_CAUSES,
      codecs: STEP_CODECS,
      graceMs: cancelGraceMs,
      maxGroups: orders,
      maxWaiting: Number.MAX_SAFE_INTEGER,
      settings: { stickBegun: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT), tracing: false } satisfies WorkerSettings,
    });
    return new PipelineInProcess(opened, orders);
  }

  /** Runs an order with simulated providers. */
  run(simulation: Simulation, scope = new CancelScope<CancelCause>()): Promise<OrderOutcome> {
    return this.#pipeline.run({ orderId: this.#nextId(), amount: 1200, attempt: 1, simulation }, scope);
  }

  /** Steps that run now, from the threads' own counters. */
  get stepsRunning(): number {
    return this.#threads.statistics().running;
  }

  get threadsReplaced(): number {
    return [...this.#threads.statistics().replaced.values()].reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.close();
  }
}
