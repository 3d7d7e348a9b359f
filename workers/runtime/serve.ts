import { flushCompileCache } from "node:module";
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
import { StepSpan } from "./step-span.ts";
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

  // By itself a thread writes what it has compiled at its end, which a killed process does not come to. Before it is ready: nobody ends
  // a thread that is starting, and a thread that is ended in the midst of this takes the process with it.
  flushCompileCache();
  parentPort?.postMessage({ type: "ready", threadId, row } satisfies ReadyMessage);

  return (batch) => {
    const steps: StepMessage[] = JSON.parse(batch.json);
    batch.json = "";
    const run = new BatchRun(steps.length);
    for (const step of steps) startStep(step, run);
    return run.result;
  };

  function startStep([id, slot, name, action, deadlineMs, input]: StepMessage, run: BatchRun): void {
    const cause = layout.causeOf(slot);
    if (cause !== undefined) {
      // Canceled on its way here: it never runs.
      const nowMs = monotonicMs();
      const outcome = { status: "canceled", cause, effect: "none" } as const;
      if (setup.tracing) StepSpan.begin(name, action, input, nowMs)?.end(outcome, nowMs);
      run.ended(id, nowMs, nowMs, outcome);
      return;
    }
    const step = steps[name];
    const body = action === "do" ? step?.run : step?.undo;
    if (step === undefined || body === undefined) {
      threadLog("error", "no such step", { step: name, action });
      const nowMs = monotonicMs();
      run.ended(id, nowMs, nowMs, { status: "failed", kind: "internal", effect: "none" });
      return;
    }
    const context = new StepContext(layout, row, slot, deadlineMs ?? undefined, threadLog);
    if (setup.tracing) context.span = StepSpan.begin(name, action, input, context.startedAtMs);
    layout.countStart(row);
    watch.add(context);
    let running: Promise<void>;
    try {
      // A step may be no async function after all.
      running = Promise.resolve(body.call(step, input, context));
    } catch (error) {
      running = Promise.reject(error);
    }
    whenEnded(running, id, name, input.orderId, context, run);
  }

  /**
   * Two callbacks and no `await`, and neither message nor input within their reach: a step may wait for minutes among
   * ten thousand others, and one that needs its input keeps it itself.
   */
  function whenEnded(running: Promise<void>, id: number, name: string, orderId: string, context: StepContext, run: BatchRun): void {
    running.then(
      () => end(id, null, context, run),
      (error: unknown) => end(id, outcomeOf(error, name, orderId, context), context, run),
    );
  }

  function end(id: number, outcome: OutcomeEntry[3], context: StepContext, run: BatchRun): void {
    const endedAtMs = monotonicMs();
    watch.remove(context);
    if (outcome?.status === "failed") cancelSiblings(context.slot);
    context.span?.end(outcome, endedAtMs);
    layout.countEnd(row);
    run.ended(id, context.startedAtMs, endedAtMs, outcome);
  }

  /**
   * The main thread would do the same when it gets the outcome, but two threads would have to wake up one after the other
   * until a sibling hears of it, each some 0.1 ms. Before the outcome is posted: afterwards the slot may be another run's.
   */
  function cancelSiblings(slot: number): void {
    if (layout.cancel(slot, "sibling_failed")) watch.look(slot);
  }

  function outcomeOf(error: unknown, name: string, orderId: string, context: StepContext): OutcomeEntry[3] {
    if (error instanceof StepFailed) {
      const { kind, effect, answer } = error;
      return answer === undefined ? { status: "failed", kind, effect } : { status: "failed", kind, effect, answer };
    }
    const effect = context.callUnderWay ? "unknown" : "none";
    const cause = layout.causeOf(context.slot);
    // Only a step of a canceled order can be canceled; and an aborted API may wrap the reason in an error of its own.
    if (cause !== undefined && (error instanceof Canceled || (error instanceof Error && error.name === "AbortError"))) {
      return { status: "canceled", cause, effect };
    }
    threadLog("error", "step threw something unclassified", {
      step: name,
      order_id: orderId,
      error: error instanceof Error ? (error.stack ?? error.message) : inspect(error),
    });
    return { status: "failed", kind: "internal", effect };
  }
}
