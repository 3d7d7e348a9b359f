import { type ObjectContext, RestatePromise } from "@restatedev/restate-sdk";
import { type AnswerBody, answerTo } from "../../orders/answer.ts";
import type { FirstTry } from "../../orders/order-journal.ts";
import { failedByFault, type OrderOutcome, stepsToUndo } from "../../orders/outcome.ts";
import { STEPS, type StepName } from "../../orders/step.ts";
import { type Callee, callObject, sendToObject } from "./object-calls.ts";
import {
  type AttemptEnd,
  type AttemptRequest,
  type AttemptState,
  type CompensationBegin,
  type CompensationBegun,
  compensationKey,
  type EventAdded,
  HEAD,
  OBJECTS,
  type OrderHead,
} from "./objects.ts";
import type { StepRecord } from "./step-record.ts";

export interface EndingParts {
  /** Somebody receives events. */
  readonly events: boolean;
  /** What failed orders did is undone by the engine's `Compensation` objects. */
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

/** Undoes what a failed attempt did and writes down how it ended. What it does depends on nothing but what is remembered. */
export async function endAttempt(
  context: ObjectContext,
  { request, state, records, outcome }: ExecutedAttempt,
  parts: EndingParts,
): Promise<AttemptEnding> {
  const atMs = Math.round(Math.max(...records.map(({ endedMs }) => endedMs)));
  const steps = outcome.error === undefined ? [] : stepsToUndo(outcome.steps);
  const begun = await compensate(context, steps, request, state, atMs, parts);
  const firstTries = begun.map(({ step, status, tries }): FirstTry => {
    const first = { step, tries: tries > 0 ? 1 : 0 } as const;
    return status === "pending" ? { ...first, nextTryMs: atMs } : first;
  });
  const answer = answerTo(request.orderId, outcome, firstTries);
  const json = JSON.stringify(answer);
  const end: AttemptEnd = {
    atMs,
    answer: outcome.error === undefined ? { json } : { error: outcome.error, json },
    fromOutside: outcome.error === "canceled",
    compensations: begun,
  };
  context.set<OrderHead>(HEAD, { attempts: state.attempt, latest: { ...state, ended: end } });
  tell(context, request.orderId, state, answer, atMs, parts);
  return { end, firstTries };
}

/** An attempt that was killed in the engine, by hand: nobody knows what its steps did, so all are undone. */
export function endInterrupted(context: ObjectContext, state: AttemptState, nowMs: number, parts: EndingParts): AttemptState {
  const orderId = context.key;
  const answer = answerTo(orderId, failedByFault("unknown"), []);
  for (const step of parts.compensates ? STEPS : []) {
    const begin = beginOf(step, STEPS, { orderId }, state, nowMs);
    sendToObject(context, calleeOf(begin), begin);
  }
  tell(context, orderId, state, answer, nowMs, parts);
  const compensations = STEPS.map((step) => ({ step, status: "pending", tries: 0 }) as const);
  const json = JSON.stringify(answer);
  return { ...state, ended: { atMs: nowMs, answer: { error: "internal", json }, fromOutside: false, interrupted: true, compensations } };
}

async function compensate(
  context: ObjectContext,
  steps: readonly StepName[],
  request: AttemptRequest,
  state: AttemptState,
  atMs: number,
  { compensates }: EndingParts,
): Promise<{ step: StepName; status: CompensationBegun["status"]; tries: number }[]> {
  if (steps.length === 0) return [];
  if (!compensates) return steps.map((step) => ({ step, status: "pending", tries: 0 }));
  const calls = steps.map((step) => {
    const begin = beginOf(step, steps, request, state, atMs);
    return callObject<CompensationBegin, CompensationBegun>(context, calleeOf(begin), begin);
  });
  const begun = await RestatePromise.all(calls);
  return steps.map((step, index) => ({ step, ...(begun[index] as CompensationBegun) }));
}

function beginOf(
  step: StepName,
  steps: readonly StepName[],
  { orderId, traceparent }: Pick<AttemptRequest, "orderId" | "traceparent">,
  { attempt, amount }: AttemptState,
  sinceMs: number,
): CompensationBegin {
  return {
    orderId,
    attempt,
    step,
    amount,
    ...(traceparent !== undefined && { traceparent }),
    sinceMs,
    steps,
  };
}

function calleeOf({ orderId, attempt, step }: CompensationBegin): Callee {
  return { service: OBJECTS.compensation, key: compensationKey(orderId, attempt, step), method: "begin" };
}

function tell(
  context: ObjectContext,
  orderId: string,
  { attempt, amount }: AttemptState,
  answer: AnswerBody,
  atMs: number,
  { events }: EndingParts,
): void {
  if (!events) return;
  const event: EventAdded = {
    type: answer.status === "ok" ? "order.placed" : "order.failed",
    orderId,
    attempt,
    amount,
    answer,
    atMs,
  };
  sendToObject(context, { service: OBJECTS.orderEvents, key: orderId, method: "add" }, event);
}
