import type { Tried } from "../../../orders/compensating.ts";
import type { CompensationRow } from "../../../orders/operator-journal.ts";
import type { FirstTry } from "../../../orders/order-journal.ts";
import { STEPS, type StepName } from "../../../orders/steps.ts";
import { backoffMs, COMPENSATION_BACKOFF } from "../../../retries/backoff.ts";
import { type CompensationBegin, compensationKey } from "../objects.ts";

/** Keys of the object's state: it has one of the two. By them the operators' lists tell apart what waits without reading it. */
export const PENDING = "pending";
export const ENDED = "ended";

/** What the object keeps. Stored, so a change of it has to be readable by the version before. Times are wall clock. */
export interface CompensationState {
  readonly orderId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly amount: number;
  readonly sinceMs: number;
  readonly tries: number;
  /** Turns that came to no call, since the provider was known to be down. They make the pauses longer, too. */
  readonly held: number;
  /** Counts what was scheduled: a retry that carries an older number has been overtaken. */
  readonly turn: number;
  readonly nextTryMs?: number;
  readonly lastAnswer?: string;
  readonly endedMs?: number;
  readonly note?: string;
}

export function begun({ orderId, attempt, step, amount, sinceMs }: CompensationBegin): CompensationState {
  return { orderId, attempt, step, amount, sinceMs, tries: 0, held: 0, turn: 0, nextTryMs: sinceMs };
}

/** After a turn. `tried` undefined: it came to no call. `random` gives 0 to 1. */
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

/** Dealt with by hand. */
export function settled({ nextTryMs: _past, ...state }: CompensationState, note: string, nowMs: number): CompensationState {
  return { ...state, note, endedMs: nowMs };
}

export function statusOf({ endedMs, note }: CompensationState): CompensationRow["status"] {
  if (endedMs === undefined) return "pending";
  return note === undefined ? "done" : "settled";
}

/** How the first try went, for the answer to the order. */
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

/** The key behind an id; undefined for what is the id of none. */
export function keyOfCompensation(id: string): string | undefined {
  const key = Buffer.from(id, "base64url").toString("utf8");
  return KEY.test(key) && compensationId(key) === id ? key : undefined;
}
