import type { Tried } from "../../../orders/compensating.ts";
import type { CompensationRow } from "../../../orders/operator-journal.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import { STEPS, type StepName } from "../../../orders/steps.ts";
import { backoffMs, COMPENSATION_BACKOFF } from "../../../retries/backoff.ts";
import { type CompensationBegin, compensationKey } from "../objects.ts";

/** Keys of the object's state, which has one of the two: the operators' lists find pending compensations by the key alone. */
export const PENDING = "pending";
export const ENDED = "ended";

/** Stored, so the version before must be able to read a changed form. Times are wall clock. */
export interface CompensationState {
  readonly orderId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly amount: number;
  readonly sinceMs: number;
  readonly tries: number;
  /** Turns without a call, because the provider was known to be down. They count for the backoff like tries. */
  readonly held: number;
  /** Counts the scheduled retries: a retry with an older number is obsolete. */
  readonly turn: number;
  readonly nextTryMs?: number;
  readonly lastAnswer?: string;
  readonly endedMs?: number;
  readonly note?: string;
}

export function begun({ orderId, attempt, step, amount, sinceMs }: CompensationBegin): CompensationState {
  return { orderId, attempt, step, amount, sinceMs, tries: 0, held: 0, turn: 0, nextTryMs: sinceMs };
}

/** After a turn. `tried` is undefined after a turn without a call. `random` gives 0 to 1. */
export function afterTurn(before: CompensationState, tried: Tried | undefined, nowMs: number, random: () => number): CompensationState {
  const { nextTryMs: _past, lastAnswer, ...state } = before;
  if (tried?.done === true) return { ...state, tries: state.tries + 1, endedMs: nowMs };
  const tries = state.tries + (tried === undefined ? 0 : 1);
  const held = state.held + (tried === undefined ? 1 : 0);
  const said = tried === undefined ? lastAnswer : tried.lastAnswer;
  return {
    ...state,
    tries,
    held,
    turn: state.turn + 1,
    nextTryMs: nowMs + backoffMs(tries + held, COMPENSATION_BACKOFF, random),
    ...(said !== undefined && { lastAnswer: said }),
  };
}

/** Settled by an operator. */
export function settled({ nextTryMs: _past, ...state }: CompensationState, note: string, nowMs: number): CompensationState {
  return { ...state, note, endedMs: nowMs };
}

export function statusOf({ endedMs, note }: CompensationState): CompensationRow["status"] {
  if (endedMs === undefined) return "pending";
  return note === undefined ? "done" : "settled";
}

/** The result of the first try, for the answer to the order. */
export function firstTryOf({ step, tries, nextTryMs, lastAnswer }: CompensationState): FirstTry {
  return {
    step,
    tries: tries === 0 ? 0 : 1,
    ...(nextTryMs !== undefined && { nextTryMs }),
    ...(lastAnswer !== undefined && { lastAnswer }),
  };
}

/** As operators see it. */
export function rowOf(state: CompensationState): CompensationRow {
  const { orderId, attempt, step, amount, sinceMs, tries, nextTryMs, lastAnswer, endedMs, note } = state;
  return {
    id: compensationId(compensationKey(orderId, attempt, step)),
    orderId,
    attempt,
    step,
    amount,
    status: statusOf(state),
    sinceMs,
    tries,
    ...(nextTryMs !== undefined && { nextTryMs }),
    ...(lastAnswer !== undefined && { lastAnswer }),
    ...(endedMs !== undefined && { endedMs }),
    ...(note !== undefined && { note }),
  };
}

/** An object's key in characters that a path can hold. */
export function compensationId(key: string): string {
  return Buffer.from(key).toString("base64url");
}

const KEY = new RegExp(`^.+:[1-9]\\d*:(${STEPS.join("|")})$`, "s");

/** The key of an id, or undefined where it is not the id of a compensation. */
export function keyOfCompensation(id: string): string | undefined {
  const key = Buffer.from(id, "base64url").toString("utf8");
  return KEY.test(key) && compensationId(key) === id ? key : undefined;
}
