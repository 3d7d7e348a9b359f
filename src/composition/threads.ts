import type { WorkerSettings } from "../../workers/settings.ts";
import type { Config } from "../config.ts";
import { ORDER_CAUSES } from "../orders/cancel-cause.ts";
import { MAX_COMPENSATING } from "../orders/compensation-call.ts";
import { STEP_CODECS } from "../orders/step-task.ts";
import { parseThreadNews } from "../telemetry/thread-news.ts";
import { type CapacityOptions, type DefinedTasks, openThreads, type TaskTable, type Threads } from "../threads/index.ts";
import type { Observers } from "./observers.ts";
import type { StartOptions } from "./service.ts";

const WORKER_FILE = new URL("../../workers/main.ts", import.meta.url);
// Room on the cancel board for steps that are no client's order: those of compensations, of retries by hand and of the chaos routes.
const EXTRA_GROUPS = MAX_COMPENSATING + 64;

export type StepThreads = Threads<TaskTable, (typeof ORDER_CAUSES)[number]>;

/** The options of every wait for a capacity or for a thread of the exclusive pool. */
export function waitingOf({ ORDER_TIMEOUT_MS }: Config): CapacityOptions {
  return { endsHopelessWaits: true, patienceMs: ORDER_TIMEOUT_MS };
}

/** Starts the threads that run steps. Rejects when they cannot be started. */
export function startStepThreads(
  config: Config,
  { faults, tracing, onFault, onReplaced }: Observers,
  { workerFile, exclusiveAtStart = false }: Pick<StartOptions, "workerFile" | "exclusiveAtStart">,
  settings: Omit<WorkerSettings, "tracing">,
): Promise<StepThreads> {
  return openThreads<DefinedTasks, (typeof ORDER_CAUSES)[number]>({
    file: workerFile ?? WORKER_FILE,
    settings: { ...settings, tracing: tracing !== undefined } satisfies WorkerSettings,
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
      if (news?.type === "spans") tracing?.spansEnded(news.spans);
      else if (news?.type === "log") faults.line(news.level, news.message, news.fields);
      else faults.line("warn", "a step thread posted what nobody expects", {});
    },
    onReplaced,
    onFault,
  });
}
