import type { ObjectContext } from "@restatedev/restate-sdk";
import { answerTo } from "../../../orders/answer.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import { failedByFault, type OrderOutcome, stepsToCompensate } from "../../../orders/outcome.ts";
import { STEPS, type StepName } from "../../../orders/step.ts";
import { beginCompensations, compensationsOf, isCompensated, sendCompensations } from "../compensation/order-compensations.ts";
import { sendEvent } from "../events/send-event.ts";
import { type AttemptEnd, type AttemptRequest, type AttemptState, HEAD, type OrderHead } from "../objects.ts";
import type { StepRecord } from "./step-record.ts";

export interface EndingParts {
  /** Somebody receives events. */
  readonly events: boolean;
  /** What failed orders did is compensated by the engine's `Compensation` objects. */
  readonly compensates: boolean;
}

export interface ExecutedAttempt {
  readonly request: AttemptRequest;
  readonly state: AttemptState;
  readonly records: readonly StepRecord[];
  readonly outcome: OrderOutcome;
}

export interface AttemptEnding {
  readonly end: AttemptEnd;
  readonly firstTries: readonly FirstTry[];
}

/** Compensates what a failed attempt did and writes down how it ended. What it does depends on nothing but what is remembered. */
export async function endAttempt(
  context: ObjectContext,
  { request, state, records, outcome }: ExecutedAttempt,
  parts: EndingParts,
): Promise<AttemptEnding> {
  const atMs = Math.round(Math.max(...records.map(({ endedMs }) => endedMs)));
  const steps = outcome.error === undefined ? [] : stepsToCompensate(outcome.steps);
  const firstTries = await compensate(context, steps, request, state, atMs, parts);
  const answer = answerTo(request.orderId, outcome, firstTries);
  const json = JSON.stringify(answer);
  const end: AttemptEnd = {
    atMs,
    answer: outcome.error === undefined ? { json } : { error: outcome.error, json },
    fromOutside: outcome.error === "canceled",
    compensations: compensationsOf(firstTries),
  };
  context.set<OrderHead>(HEAD, { attempts: state.attempt, latest: { ...state, ended: end } });
  tell(context, request.orderId, state, end, parts);
  return { end, firstTries };
}

/** An attempt that was killed in the engine, by hand: nobody knows what its steps did, so all are compensated. */
export function endInterrupted(context: ObjectContext, state: AttemptState, nowMs: number, parts: EndingParts): AttemptState {
  const orderId = context.key;
  const answer = answerTo(orderId, failedByFault("unknown"), []);
  if (parts.compensates) sendCompensations(context, { orderId, attempt: state.attempt, amount: state.amount }, STEPS, nowMs);
  const compensations = STEPS.map((step) => ({ step, status: "pending", tries: 0 }) as const);
  const json = JSON.stringify(answer);
  const end: AttemptEnd = { atMs: nowMs, answer: { error: "internal", json }, fromOutside: false, interrupted: true, compensations };
  tell(context, orderId, state, end, parts);
  return { ...state, ended: end };
}

async function compensate(
  context: ObjectContext,
  steps: readonly StepName[],
  { orderId, traceparent }: AttemptRequest,
  { attempt, amount }: AttemptState,
  atMs: number,
  { compensates }: EndingParts,
): Promise<FirstTry[]> {
  if (!compensates) return steps.map((step) => ({ step, tries: 0, nextTryMs: atMs }));
  const input = { orderId, attempt, amount, ...(traceparent !== undefined && { traceparent }) };
  return await beginCompensations(context, input, steps, atMs);
}

/** Its event, and behind it that of its compensation where nothing is left to be compensated. */
function tell(context: ObjectContext, orderId: string, { attempt, amount }: AttemptState, end: AttemptEnd, { events }: EndingParts): void {
  if (!events) return;
  const { atMs, answer } = end;
  const event = { orderId, attempt, amount, atMs, ...(answer.error !== undefined && { error: answer.error }) };
  sendEvent(context, { ...event, type: answer.error === undefined ? "order.placed" : "order.failed" });
  if (isCompensated(end.compensations)) sendEvent(context, { ...event, type: "order.compensated" });
}
