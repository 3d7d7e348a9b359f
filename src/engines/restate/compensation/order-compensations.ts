import { type ObjectContext, RestatePromise, TimeoutError } from "@restatedev/restate-sdk";
import type { FirstTry } from "../../../orders/order-journal.ts";
import type { AttemptInput } from "../../../orders/step.ts";
import type { StepName } from "../../../orders/steps.ts";
import { sendEvent } from "../events/order-events-object.ts";
import {
  type AttemptState,
  attemptState,
  type CompensationBegin,
  type CompensationChanged,
  type CompensationOfAttempt,
  compensationKey,
  type EventAdded,
  HEAD,
  type OrderHead,
} from "../objects.ts";
import { COMPENSATION } from "./compensation-object.ts";

// How long an answer waits for compensations. Most take one call; the answer must not wait for a provider that is down.
const WAIT_FOR_COMPENSATION_MS = 500;

/**
 * Within `Order.attempt`: begins to compensate these steps in parallel, and waits a short time for their first tries. From then on they go
 * on by themselves. `atMs`: when the attempt failed, wall clock. The handler must have `explicitCancellation`.
 */
export async function beginCompensations(
  ctx: ObjectContext,
  input: Omit<AttemptInput, "simulation">,
  steps: readonly StepName[],
  atMs: number,
): Promise<FirstTry[]> {
  const keyOf = (step: StepName) => compensationKey(input.orderId, input.attempt, step);
  const begun = await RestatePromise.all(
    steps.map((step) => {
      const call = ctx.objectClient<typeof COMPENSATION>(COMPENSATION, keyOf(step)).begin(beginOf(input, step, atMs));
      return call.orTimeout(WAIT_FOR_COMPENSATION_MS).map((first, failure) => {
        if (failure !== undefined && !(failure instanceof TimeoutError)) throw failure;
        return first ?? null;
      });
    }),
  );
  return steps.map((step, index): FirstTry => {
    const first = begun[index];
    if (first !== null && first !== undefined) return first;
    ctx.objectSendClient<typeof COMPENSATION>(COMPENSATION, keyOf(step)).report();
    return { step, tries: 0, nextTryMs: atMs };
  });
}

/** The same without waiting, for an interrupted attempt. Each compensation reports its first try to `Order`. */
export function sendCompensations(
  ctx: ObjectContext,
  input: Omit<AttemptInput, "simulation">,
  steps: readonly StepName[],
  atMs: number,
): void {
  for (const step of steps) {
    const compensation = ctx.objectSendClient<typeof COMPENSATION>(COMPENSATION, compensationKey(input.orderId, input.attempt, step));
    compensation.begin(beginOf(input, step, atMs));
    compensation.report();
  }
}

/** What `Order` stores of the first tries. */
export function compensationsOf(firstTries: readonly FirstTry[]): CompensationOfAttempt[] {
  return firstTries.map(({ step, tries, nextTryMs }) => ({ step, tries, status: nextTryMs === undefined ? "done" : "pending" }));
}

/** Whether nothing is left to be compensated: `order.compensated` is due. */
export function isCompensated(compensations: readonly CompensationOfAttempt[]): boolean {
  return compensations.length > 0 && compensations.every(({ status }) => status !== "pending");
}

/** `Order.compensationChanged`. `sendsEvents`: whether a receiver of events is configured. */
export async function compensationChanged(ctx: ObjectContext, changed: CompensationChanged, sendsEvents: boolean): Promise<void> {
  const head = await ctx.get<OrderHead>(HEAD);
  const isLatest = head?.latest.attempt === changed.attempt;
  const before = isLatest ? head.latest : await ctx.get<AttemptState>(attemptState(changed.attempt));
  if (before?.ended === undefined) return;
  const { ended } = before;
  const compensations = ended.compensations.map((one) => (one.step === changed.step ? newer(one, changed) : one));
  const after = { ...before, ended: { ...ended, compensations } };
  if (isLatest) ctx.set<OrderHead>(HEAD, { ...head, latest: after });
  else ctx.set(attemptState(changed.attempt), after);
  if (!sendsEvents || isCompensated(ended.compensations) || !isCompensated(compensations)) return;
  const event: EventAdded = {
    type: "order.compensated",
    orderId: ctx.key,
    attempt: changed.attempt,
    amount: before.amount,
    ...(ended.answer.error !== undefined && { error: ended.answer.error }),
    atMs: await ctx.date.now(),
  };
  sendEvent(ctx, event);
}

/** A report may come late, so one of a pending state never replaces an end. */
function newer(before: CompensationOfAttempt, { step, status, tries }: CompensationChanged): CompensationOfAttempt {
  if (before.status !== "pending") return before;
  return { step, status, tries };
}

function beginOf(
  { orderId, amount, attempt, traceparent }: Omit<AttemptInput, "simulation">,
  step: StepName,
  sinceMs: number,
): CompensationBegin {
  return { orderId, attempt, step, amount, sinceMs, ...(traceparent !== undefined && { traceparent }) };
}
