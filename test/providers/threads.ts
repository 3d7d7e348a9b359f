import { type CancelCause, ORDER_CAUSES } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import { type LogNews, parseThreadNews } from "../../src/telemetry/thread-news.ts";
import { CancelScope, type DefinedTasks, openThreads, type Threads } from "../../src/threads/index.ts";
import type { ProviderUrls } from "../../workers/providers/provider.ts";
import type { WorkerSettings } from "../../workers/settings.ts";

const WORKER_FILE = new URL("../../workers/main.ts", import.meta.url);

/** Real threads with the steps of the service. `logs` collects what they say. */
export function startThreads(providerUrls: ProviderUrls | undefined, logs: LogNews[] = [], shared = 2): Promise<Threads> {
  return openThreads<DefinedTasks, string>({
    file: WORKER_FILE,
    shared,
    exclusive: 1,
    exclusiveOnDemand: false,
    causes: ORDER_CAUSES,
    codecs: STEP_CODECS,
    graceMs: 1000,
    maxGroups: 5000,
    settings: {
      stickBegun: new SharedArrayBuffer(4),
      tracing: false,
      ...(providerUrls === undefined ? {} : { providerUrls }),
    } satisfies WorkerSettings,
    onMessage(message) {
      const news = parseThreadNews(message);
      if (news?.type === "log") logs.push(news);
    },
  });
}

/** Runs one step in a run of its own, to its end. Rejects where the step threw what nobody had classified. */
export async function runStep(
  threads: Threads,
  name: StepName,
  action: "perform" | "compensate",
  input: AttemptInput,
  scope = new CancelScope<CancelCause>(),
): Promise<StepOutcome> {
  const bugs: string[] = [];
  const own = new CancelScope<CancelCause>();
  const linked = own.link(scope);
  const run = new ThreadStepRunner(threads, (_step, _orderId, stack) => bugs.push(stack)).open(own);
  const { outcome } = await run.run({ name, action, computes: false, retryable: action === "compensate" }, input);
  run.close();
  linked.unsubscribe();
  if (bugs.length > 0) throw new Error(bugs.join());
  return outcome;
}

/** What the counters of threads say when nothing runs and nothing was left behind. */
export const NOTHING_LEFT = { groups: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, watchedGroups: 0 };
