import type { WorkerSettings } from "../../workers/settings.ts";
import type { Config } from "../config.ts";
import type { FaultLog } from "../fault-log.ts";
import { ORDER_CAUSES } from "../orders/cancel-cause.ts";
import { MAX_COMPENSATING } from "../orders/compensation-call.ts";
import type { SpanData } from "../orders/span-data.ts";
import { STEP_CODECS } from "../orders/step-task.ts";
import { parseThreadNews } from "../telemetry/thread-news.ts";
import { type DefinedTasks, openThreads, type TaskTable, type Threads, type ThreadsOptions } from "../threads/index.ts";
import { waitingOf } from "./capacities.ts";
import type { StartOptions } from "./service.ts";

const WORKER_FILE = new URL("../../workers/main.ts", import.meta.url);
// Room on the cancel board for steps that are no client's order: those of compensations, of retries by hand and of the chaos routes.
const EXTRA_GROUPS = MAX_COMPENSATING + 64;

export type StepThreads = Threads<TaskTable, (typeof ORDER_CAUSES)[number]>;

export interface StepThreadsParts extends Pick<ThreadsOptions, "onReplaced"> {
  readonly options: Pick<StartOptions, "workerFile" | "exclusiveAtStart">;
  readonly settings: WorkerSettings;
  readonly faults: FaultLog;
  /** The log fields of the request behind an order. A step knows only its order. */
  readonly orderFields: (orderId: unknown) => object;
  /** Spans of steps that have ended, of orders that are sampled. */
  readonly onSpans: (spans: readonly SpanData[]) => void;
}

/** Starts the threads that run steps. Rejects when they cannot be started. Main thread only. */
export function startStepThreads(
  config: Config,
  { options: { workerFile, exclusiveAtStart = false }, settings, faults, orderFields, onSpans, ...more }: StepThreadsParts,
): Promise<StepThreads> {
  return openThreads<DefinedTasks, (typeof ORDER_CAUSES)[number]>({
    ...more,
    file: workerFile ?? WORKER_FILE,
    settings,
    shared: config.THREADS,
    exclusive: config.CPU_THREADS,
    exclusiveOnDemand: !exclusiveAtStart,
    causes: ORDER_CAUSES,
    codecs: STEP_CODECS,
    waiting: waitingOf(config),
    graceMs: config.CANCEL_GRACE_MS,
    maxGroups: config.MAX_IN_FLIGHT + EXTRA_GROUPS,
    // Admission bounds what waits, by orders.
    maxWaiting: Number.MAX_SAFE_INTEGER,
    onMessage(value) {
      const news = parseThreadNews(value);
      if (news?.type === "spans") onSpans(news.spans);
      else if (news?.type === "log") faults.line(news.level, news.message, { ...news.fields, ...orderFields(news.fields.order_id) });
      else faults.line("warn", "a step thread posted what nobody expects", {});
    },
    onFault: faults.report.bind(faults),
  });
}
