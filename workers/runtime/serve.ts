import { inspect } from "node:util";
import { parentPort, threadId, workerData } from "node:worker_threads";
import { Canceled } from "../../src/concurrency/cancel-cause.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import { Layout } from "../../src/threads/layout.ts";
import type { Batch, OutcomeEntry, ReadyMessage, StepMessage, ThreadSetup } from "../../src/threads/protocol.ts";
import { BatchRun } from "./batch-run.ts";
import { CancelWatch } from "./cancel-watch.ts";
import type { StepRegistry } from "./step.ts";
import { StepContext } from "./step-context.ts";
import { StepFailed } from "./step-failed.ts";
import { threadLog } from "./thread-log.ts";

// Ten beats a second: the supervisor's limit is two seconds, so a thread may miss many before it is suspected.
const HEARTBEAT_MS = 100;

/**
 * Makes this thread serve batches of steps: claims its tracker row, listens to the doorbell, beats. Called once
 * by a worker file at its top level; what it returns is the file's default export, the function Piscina calls.
 */
export function serve(makeSteps: (settings: never) => StepRegistry): (batch: Batch) => Promise<OutcomeEntry[]> {
  const setup = workerData as ThreadSetup;
  const steps = makeSteps(setup.settings as never);
  const layout = new Layout(setup.layout);
  const row = layout.claimRow(threadId);
  const watch = new CancelWatch(layout, row);
  void watch.listen();
  setInterval(() => layout.beat(row), HEARTBEAT_MS).unref();

  parentPort?.postMessage({ type: "ready", threadId, row } satisfies ReadyMessage);

  return (batch) => {
    const run = new BatchRun(batch.length);
    for (const message of batch) {
      void runStep(message).then((outcome) => run.ended([message.id, monotonicMs(), outcome]));
    }
    return run.result;
  };

  async function runStep(message: StepMessage): Promise<OutcomeEntry[2]> {
    const cause = layout.causeOf(message.slot);
    // Canceled on its way here: it never runs.
    if (cause !== undefined) return { status: "canceled", cause, effect: "none" };
    const step = steps[message.name];
    const body = message.action === "do" ? step?.run : step?.undo;
    if (step === undefined || body === undefined) {
      threadLog("error", "no such step", { step: message.name, action: message.action });
      return { status: "failed", kind: "internal", effect: "none" };
    }
    const context = new StepContext(layout, row, message.slot, threadLog);
    layout.countStart(row);
    watch.add(message.slot, context);
    try {
      await body.call(step, message.input, context);
      return null;
    } catch (error) {
      return outcomeOf(error, message, context);
    } finally {
      watch.remove(message.slot, context);
      layout.countEnd(row);
    }
  }

  function outcomeOf(error: unknown, message: StepMessage, context: StepContext): OutcomeEntry[2] {
    const effect = context.callUnderWay ? "unknown" : "none";
    if (error instanceof StepFailed) return { status: "failed", kind: error.kind, effect: error.effect };
    const cause = layout.causeOf(message.slot);
    // Only a step of a canceled order can be canceled; and an aborted API may wrap the reason in an error of its own.
    if (cause !== undefined && (error instanceof Canceled || (error instanceof Error && error.name === "AbortError"))) {
      return { status: "canceled", cause, effect };
    }
    threadLog("error", "step threw something unclassified", {
      step: message.name,
      order_id: message.input.orderId,
      error: error instanceof Error ? (error.stack ?? error.message) : inspect(error),
    });
    return { status: "failed", kind: "internal", effect };
  }
}
