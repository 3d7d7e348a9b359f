import { type ObjectContext, RestatePromise, TimeoutError } from "@restatedev/restate-sdk";
import type { FirstTry } from "../../../orders/order-journal.ts";
import type { StepInput, StepName } from "../../../orders/step.ts";
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

// How long an answer waits for compensations, which mostly take one call each; a provider that is down is not waited for.
const WAIT_FOR_COMPENSATION_MS = 500;

/**
 * Within `Order.attempt`: begins to compensate these steps, side by side, and waits for their first tries, but not for long. From here on they
 * go on by themselves. `atMs`: when the attempt failed, wall clock. The handler must have `explicitCancellation`.
 */
export async function beginCompensations(
  ctx: ObjectContext,
  input: Omit<StepInput, "simulation">,
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

/** The same for an attempt whose end nobody waited for: begins, and has itself told how that went. */
export function sendCompensations(
  ctx: ObjectContext,
  input: Omit<StepInput, "simulation">,
  steps: readonly StepName[],
  atMs: number,
): void {
  for (const step of steps) {
    const compensation = ctx.objectSendClient<typeof COMPENSATION>(COMPENSATION, compensationKey(input.orderId, input.attempt, step));
    compensation.begin(beginOf(input, step, atMs));
    compensation.report();
  }
}

/** What `Order` keeps of the first tries. */
export function compensationsOf(firstTries: readonly FirstTry[]): CompensationOfAttempt[] {
  return firstTries.map(({ step, tries, nextTryMs }) => ({ step, tries, status: nextTryMs === undefined ? "done" : "pending" }));
}

/** Whether the attempt is compensated already: `order.compensated` follows its `order.failed` at once. */
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

/** What was told of it may come late, but never takes back an end. */
function newer(before: CompensationOfAttempt, { step, status, tries }: CompensationChanged): CompensationOfAttempt {
  if (before.status !== "pending") return before;
  return { step, status, tries };
}

function beginOf(
  { orderId, amount, attempt, traceparent }: Omit<StepInput, "simulation">,
  step: StepName,
  sinceMs: number,
): CompensationBegin {
  return { orderId, attempt, step, amount, sinceMs, ...(traceparent !== undefined && { traceparent }) };
}
