import type { ObjectContext } from "@restatedev/restate-sdk";
import { answerTo } from "../../../orders/answer.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import { failedByFault, type OrderOutcome, stepsToCompensate } from "../../../orders/outcome.ts";
import { STEPS } from "../../../orders/steps.ts";
import { monotonicMs } from "../../../threads/index.ts";
import { beginCompensations, compensationsOf, isCompensated, sendCompensations } from "../compensation/order-compensations.ts";
import { sendEvent } from "../events/order-events-object.ts";
import { type AttemptEnd, type AttemptRequest, type AttemptState, HEAD, type OrderHead } from "../objects.ts";
import type { StepRecord } from "./step-record.ts";

export interface EndingParts {
  /** Whether a receiver of events is configured. */
  readonly sendsEvents: boolean;
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

/** Compensates what a failed attempt did and stores how the attempt ended. Depends on the engine's journal only, so every node does the same. */
export async function endAttempt(
  context: ObjectContext,
  { request, state, records, outcome }: ExecutedAttempt,
  parts: EndingParts,
): Promise<AttemptEnding> {
  const atMs = Math.round(Math.max(...records.map(({ endedMs }) => endedMs)));
  const steps = outcome.error === undefined ? [] : stepsToCompensate(outcome.steps);
  const { orderId, traceparent } = request;
  const input = { orderId, attempt: state.attempt, amount: state.amount, ...(traceparent !== undefined && { traceparent }) };
  const firstTries = await beginCompensations(context, input, steps, atMs);
  const answer = answerTo(orderId, outcome, firstTries);
  const json = JSON.stringify(answer);
  const end: AttemptEnd = {
    atMs,
    answer: outcome.error === undefined ? { json } : { error: outcome.error, json },
    fromOutside: outcome.error === "canceled",
    compensations: compensationsOf(firstTries),
  };
  context.set<OrderHead>(HEAD, { attempts: state.attempt, latest: { ...state, ended: end } });
  sendEvents(context, orderId, state, end, parts);
  return { end, firstTries };
}

/** For an attempt that somebody killed in the engine: what its steps did is in doubt, so all of them are compensated. */
export function endInterrupted(context: ObjectContext, state: AttemptState, nowMs: number, parts: EndingParts): AttemptState {
  const orderId = context.key;
  const answer = answerTo(orderId, failedByFault("unknown", monotonicMs()), []);
  sendCompensations(context, { orderId, attempt: state.attempt, amount: state.amount }, STEPS, nowMs);
  const compensations = STEPS.map((step) => ({ step, status: "pending", tries: 0 }) as const);
  const json = JSON.stringify(answer);
  const end: AttemptEnd = { atMs: nowMs, answer: { error: "internal", json }, fromOutside: false, interrupted: true, compensations };
  sendEvents(context, orderId, state, end, parts);
  return { ...state, ended: end };
}

/** The event of an attempt, followed by that of its compensation where nothing is left to be compensated. */
function sendEvents(
  context: ObjectContext,
  orderId: string,
  { attempt, amount }: AttemptState,
  { atMs, answer, compensations }: AttemptEnd,
  { sendsEvents }: EndingParts,
): void {
  if (!sendsEvents) return;
  const event = { orderId, attempt, amount, atMs, ...(answer.error !== undefined && { error: answer.error }) };
  sendEvent(context, { ...event, type: answer.error === undefined ? "order.placed" : "order.failed" });
  if (isCompensated(compensations)) sendEvent(context, { ...event, type: "order.compensated" });
}
