import { fileURLToPath } from "node:url";
import type { WorkerSettings } from "../../workers/settings.ts";
import type { Config } from "../config.ts";
import type { FaultLog } from "../fault-log.ts";
import { MAX_COMPENSATING } from "../orders/compensation-call.ts";
import { ThreadRuntime, type ThreadRuntimeOptions } from "../threads/thread-runtime.ts";
import { waitingOf } from "./capacities.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/main.ts", import.meta.url));
// Room on the cancel board for steps that are no client's order: those of compensations, of retries by hand and of the chaos routes. Besides,
// where nodes share the couriers each courier call has a group of its own.
const EXTRA_GROUPS = MAX_COMPENSATING + 64;

export interface StepThreadsParts extends Pick<ThreadRuntimeOptions, "onSpans" | "onReplaced"> {
  /** The worker file; the service's own by default. */
  readonly workerFile: string | undefined;
  readonly settings: WorkerSettings;
  readonly faults: FaultLog;
  /** The log fields of the request behind an order. A step knows only its order. */
  readonly orderFields: (orderId: unknown) => object;
}

/** Starts the threads that run steps. Rejects when they cannot be started. Main thread only. */
export function startStepThreads(
  config: Config,
  { workerFile = WORKER_FILE, faults, orderFields, ...options }: StepThreadsParts,
): Promise<ThreadRuntime> {
  return ThreadRuntime.start({
    ...options,
    workerFile,
    threads: config.THREADS,
    cpuThreads: config.CPU_THREADS,
    cpuThreadsOnDemand: !config.CPU_THREADS_AT_START,
    waiting: waitingOf(config),
    cancelGraceMs: config.CANCEL_GRACE_MS,
    longestStepMs: Math.max(config.ORDER_TIMEOUT_MS, config.COMPENSATION_TIMEOUT_MS),
    maxGroups: config.MAX_IN_FLIGHT + config.COURIER_CAPACITY + EXTRA_GROUPS,
    onLog: ({ level, message, fields }) => faults.line(level, message, { ...fields, ...orderFields(fields.order_id) }),
    onFault: faults.report.bind(faults),
  });
}
