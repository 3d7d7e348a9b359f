import { COMPENSATION_BACKOFF, MAX_ASKED_WAIT_MS } from "../resilience/backoff.ts";
import type { CallEnd, Lane } from "../resilience/endpoint-health.ts";
import { CancelScope } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { Compensation, CompensationTried } from "./order-journal.ts";
import type { StepOutcome } from "./step.ts";
import type { StepRunner } from "./step-runner.ts";
import { STEPS } from "./steps.ts";

// A provider's bulkhead: how many of its compensations may be under way, of orders that fail now and of the backlog. Two limits, so that
// neither kind keeps the other waiting. Some dozens are enough for 2000 a second at 10 ms a call.
export const FIRST_TRIES = 64;
export const RETRIES = 32;
/** How many compensations may be under way at one time; the step runner needs room for as many runs. */
export const MAX_COMPENSATING = STEPS.length * (FIRST_TRIES + RETRIES);

const OVERLOADED = new Set(["HTTP 429", "HTTP 503"]);

export interface CompensationCallParts {
  readonly runner: StepRunner;
  /** Deadline of one call. The order's has often passed already. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  readonly stop: CancelScope<CancelCause>;
}

/** Compensates a step once, on a step thread. Undefined when `stop` cut it off. Never rejects. */
export async function compensateOnce(
  { runner, timeoutMs, nowMs, stop }: CompensationCallParts,
  { id, orderId, amount, attempt, step, tries }: Compensation,
  traceparent: string | undefined,
  lane: Lane,
): Promise<CompensationTried | undefined> {
  const call = lane.begin();
  const scope = new CancelScope<CancelCause>();
  const stopTimer = scope.cancelAfter(timeoutMs);
  const linked = scope.link(stop);
  let outcome: StepOutcome | Error;
  try {
    const steps = runner.open(scope);
    const input = { orderId, amount, attempt, ...(traceparent !== undefined && { traceparent }) };
    outcome = (await steps.run({ name: step, action: "compensate", computes: false, retryable: true }, input)).outcome;
    steps.close();
  } catch (error) {
    outcome = error as Error;
  }
  stopTimer();
  linked.unsubscribe();
  const end = callEnd(outcome, tries);
  lane.end(call, end);
  if (outcome instanceof Error) return { id, step, nextTryMs: nowMs() + pauseMs(), lastAnswer: "it could not be run" };
  if (outcome.status === "ok") return { id, step };
  if (outcome.status === "canceled" && outcome.cause !== "deadline") return undefined;
  return { id, step, nextTryMs: nowMs() + pauseMs(retryAfterOf(outcome)), lastAnswer: wordsFor(outcome, timeoutMs) };

  function pauseMs(retryAfterMs = 0): number {
    // A try that says nothing of the address was no probe.
    return lane.health.pauseMs(tries + 1, COMPENSATION_BACKOFF, retryAfterMs, lane.health.down && end !== undefined);
  }
}

function wordsFor(outcome: Exclude<StepOutcome, { status: "ok" }>, timeoutMs: number): string {
  switch (outcome.status) {
    case "failed":
      return outcome.answer ?? outcome.kind;
    case "lost":
      return "its thread was lost";
    case "canceled":
      return `no answer in ${timeoutMs} ms`;
  }
}

/** What a try says about the address. `tries`: those before it. */
function callEnd(outcome: StepOutcome | Error, tries: number): CallEnd {
  if (outcome instanceof Error || outcome.status === "lost") return undefined;
  if (outcome.status === "ok") return "ok";
  const again = tries > 0;
  if (outcome.status === "canceled") {
    return outcome.cause === "deadline" ? { again, how: "silent", overloaded: false, retryAfterMs: 0 } : undefined;
  }
  const { answer = "", effect } = outcome;
  const how = effect === "none" ? "unconnected" : answer.startsWith("HTTP ") ? "answered" : "silent";
  return { again, how, overloaded: OVERLOADED.has(answer), retryAfterMs: retryAfterOf(outcome) };
}

/** Whole milliseconds: the journal takes no others, and a step of its own work may say anything. */
function retryAfterOf(outcome: StepOutcome): number {
  return outcome.status === "failed" ? Math.min(MAX_ASKED_WAIT_MS, Math.ceil(outcome.unavailable?.retryAfterMs ?? 0)) : 0;
}
