import { flushCompileCache } from "node:module";
import { type MessagePort, parentPort, threadId, workerData } from "node:worker_threads";
import { Canceled } from "../../src/concurrency/cancel-cause.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import type { StepInput } from "../../src/orders/step.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout } from "../../src/threads/layout.ts";
import type { NotOk, OutcomeEntry, ReadyMessage, StandingTask, StepMessage, ThreadSetup } from "../../src/threads/protocol.ts";
import { BEAT_EVERY_MS, Tracker } from "../../src/threads/tracker.ts";
import { giveHeapSnapshots } from "../diagnosis/heap-snapshots.ts";
import { StepFailed, type StepRegistry } from "../steps/step.ts";
import { StepContext } from "../steps/step-context.ts";
import { postSpans, StepSpan } from "../telemetry/step-span.ts";
import { threadLog } from "../telemetry/thread-log.ts";
import { CancelWatch } from "./cancel-watch.ts";

/**
 * Makes this thread serve steps: claims its tracker row, listens to its bell, beats. Called once by a worker file at its top level; what
 * it returns is the file's export `standingTask`, which Piscina calls once: that task never ends. It must not be a default export: Piscina
 * loads by `require`, and terminating a thread while Node wraps a default export for it aborts the process (`CreateRequiredModuleFacade`).
 */
export function serve(makeSteps: (settings: never) => StepRegistry): (task: StandingTask) => Promise<never> {
  const setup = workerData as ThreadSetup;
  const steps = makeSteps(setup.settings as never);
  const layout = new Layout(setup.layout);
  const board = new CancelBoard(layout);
  const tracker = new Tracker(layout);
  const row = tracker.claim(threadId);
  const thread = { board, tracker, row };
  const watch = new CancelWatch(board, row);
  void watch.listen();
  setInterval(() => tracker.beat(row), BEAT_EVERY_MS).unref();
  giveHeapSnapshots(() => tracker.beat(row));

  // Node writes what a thread has compiled when the thread ends, which in a killed process never happens. Before `ready`: terminating a
  // thread while it writes would end the process, and a thread that starts is terminated only if it hangs.
  flushCompileCache();
  parentPort?.postMessage({ type: "ready", threadId, row } satisfies ReadyMessage);

  let lane: MessagePort;
  let ended: OutcomeEntry[] = [];
  return (port) => {
    lane = port;
    port.on("message", (received: readonly StepMessage[]) => received.forEach(startStep));
    return new Promise(() => {});
  };

  function report(...outcome: OutcomeEntry): void {
    ended.push(outcome);
    // In the check phase of this turn: whatever ended in its timers, socket events and wake-ups leaves as one message.
    if (ended.length === 1) setImmediate(postOutcomes);
  }

  function postOutcomes(): void {
    postSpans();
    lane.postMessage(ended);
    ended = [];
  }

  function startStep(message: StepMessage): void {
    const [id, slot, generation, name, action] = message;
    const input = inputOf(message);
    const cause = board.causeOf(slot, generation);
    if (cause !== undefined) {
      // Canceled on its way here: it never runs.
      const nowMs = monotonicMs();
      const outcome = { status: "canceled", cause, effect: "none" } as const;
      if (setup.tracing) StepSpan.begin(name, action, input, nowMs)?.end(outcome, nowMs);
      report(id, slot, nowMs, nowMs, outcome);
      return;
    }
    const step = steps[name];
    const body = action === "perform" ? step?.run : step?.compensate;
    if (step === undefined || body === undefined) {
      threadLog("error", "no such step", { step: name, action });
      const nowMs = monotonicMs();
      report(id, slot, nowMs, nowMs, { status: "failed", kind: "internal", effect: "none" });
      return;
    }
    const context = new StepContext(thread, slot, generation);
    if (setup.tracing) context.span = StepSpan.begin(name, action, input, context.startedAtMs);
    // First the count, then the registration: either its look finds the cancel, or the canceler sees this step running (invariant 5).
    tracker.countStart(row);
    watch.add(context);
    let running: Promise<void>;
    try {
      // A step need not be an async function.
      running = Promise.resolve(body.call(step, input, context));
    } catch (error) {
      running = Promise.reject(error);
    }
    whenEnded(running, id, name, input.orderId, context);
  }

  /**
   * Two callbacks and no `await`, and neither the message nor the input within their reach: a step may wait for minutes among ten thousand
   * others. An `await` keeps 6 % more of a waiting order (`npm run bench:tricks`). A step that needs its input keeps it itself.
   */
  function whenEnded(running: Promise<void>, id: number, name: string, orderId: string, context: StepContext): void {
    running.then(
      () => end(id, null, context),
      (error: unknown) => end(id, outcomeOf(error, name, orderId, context), context),
    );
  }

  function end(id: number, outcome: NotOk | null, context: StepContext): void {
    const endedAtMs = monotonicMs();
    watch.remove(context);
    // Where the provider is unavailable the step may be tried again: the main thread decides whether it has failed.
    if (outcome?.status === "failed" && outcome.unavailable === undefined) cancelSiblings(context);
    context.span?.end(outcome, endedAtMs);
    tracker.countEnd(row, endedAtMs);
    report(id, context.slot, context.startedAtMs, endedAtMs, outcome);
  }

  /**
   * The main thread does the same when it gets the outcome, but then two threads have to wake up, each in some 0.1 ms, before a sibling
   * is notified. Before the outcome is posted: afterwards the group may be over.
   */
  function cancelSiblings({ slot, generation }: StepContext): void {
    // A sibling on another thread may have been first and have lost its processor before it notified the third one.
    if (!board.cancel(slot, generation, "sibling_failed")) board.notify(slot);
    watch.look(slot);
  }

  function outcomeOf(error: unknown, name: string, orderId: string, context: StepContext): NotOk {
    if (error instanceof StepFailed) {
      const { kind, effect, answer, unavailable } = error;
      return { status: "failed", kind, effect, ...(answer !== undefined && { answer }), ...(unavailable !== undefined && { unavailable }) };
    }
    const effect = context.callUnderWay ? "unknown" : "none";
    const cause = context.orderCause;
    // Only a step of a canceled order can be canceled; and an aborted API may wrap the reason in an error of its own.
    if (cause !== undefined && (error instanceof Canceled || (error instanceof Error && error.name === "AbortError"))) {
      return { status: "canceled", cause, effect };
    }
    threadLog("error", "step threw something unclassified", {
      step: name,
      order_id: orderId,
      error: error instanceof Error ? (error.stack ?? error.message) : process.getBuiltinModule("node:util").inspect(error),
    });
    return { status: "failed", kind: "internal", effect };
  }
}

function inputOf([, , , , , orderId, amount, attempt, traceparent, fails, delayMs, cpuMs]: StepMessage): StepInput {
  return { orderId, amount, attempt, traceparent, simulation: { fails, delayMs, cpuMs } };
}
