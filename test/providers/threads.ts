import { fileURLToPath } from "node:url";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { LogMessage } from "../../src/threads/protocol.ts";
import { ThreadRuntime } from "../../src/threads/thread-runtime.ts";
import type { ProviderUrls } from "../../workers/providers/provider.ts";
import type { WorkerSettings } from "../../workers/settings.ts";

const WORKER_FILE = fileURLToPath(new URL("../../workers/main.ts", import.meta.url));

/** Real threads with the steps of the service. `logs` collects what they say. */
export function startThreads(providerUrls: ProviderUrls | undefined, logs: LogMessage[] = [], threads = 2): Promise<ThreadRuntime> {
  return ThreadRuntime.start({
    workerFile: WORKER_FILE,
    threads,
    cpuThreads: 1,
    cancelGraceMs: 1000,
    longestStepMs: 10_000,
    maxGroups: 5000,
    settings: {
      stickBegun: new SharedArrayBuffer(4),
      ...(providerUrls === undefined ? {} : { providerUrls }),
    } satisfies WorkerSettings,
    onLog: (message) => void logs.push(message),
  });
}

/** Runs one step in a run of its own, to its end. */
export async function runStep(
  runtime: ThreadRuntime,
  name: StepName,
  action: "perform" | "compensate",
  input: AttemptInput,
  scope: CancelScope = new CancelScope(),
): Promise<StepOutcome> {
  const own = new CancelScope();
  const linked = own.link(scope);
  const run = runtime.open(own);
  const { outcome } = await run.run({ name, action, computes: false, retryable: action === "compensate" }, input);
  run.close();
  linked.unsubscribe();
  return outcome;
}

/** What a runtime's counters say when nothing runs and nothing was left behind. */
export const NOTHING_LEFT = { slots: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, watchedGroups: 0 };
