import type { ErrorKind } from "../../orders/error-kind.ts";
import type { Cursor, HeldAttempt, OrderSummary, Page } from "../../orders/operator-journal.ts";
import type { StepName } from "../../orders/steps.ts";
import type { Answers, Query, QueryName, Reads } from "../protocol.ts";
import { CLOSED_BY_RESTORE } from "./tables.ts";

/** How a store answers each query. */
export type Readers = {
  readonly [Name in QueryName]: (...asked: Parameters<Reads[Name]>) => Answers[Name] | Promise<Answers[Name]>;
};

/** Throws or rejects as the reader does. */
export function answerTo(readers: Readers, [name, ...asked]: Query): Answers[QueryName] | Promise<Answers[QueryName]> {
  return (readers[name] as (...asked: readonly unknown[]) => Answers[QueryName] | Promise<Answers[QueryName]>)(...asked);
}

/** A page of up to `limit` items; a full one says where the next begins. */
export function pageOf<Item>(items: readonly Item[], limit: number, cursorOf: (last: Item) => Cursor): Page<Item> {
  const last = items.length < limit ? undefined : items.at(-1);
  return { items, ...(last !== undefined && { next: cursorOf(last) }) };
}

/** An order as operators see it while it runs. */
export function runningOrder(orderId: string, attempt: number, amount: number, acceptedMs: number): OrderSummary {
  return { orderId, attempt, amount, status: "running", acceptedMs };
}

export type EndedFields = [orderId: string, attempt: number, amount: number, acceptedMs: number, endedMs: number, error: string | null];

/** An order as operators see it by its latest attempt. `isOpen`: whether something of that has to be compensated still, if it failed. */
export function endedOrder([orderId, attempt, amount, acceptedMs, endedMs, error]: EndedFields, isOpen: boolean): OrderSummary {
  const order = { orderId, attempt, amount, acceptedMs, endedMs };
  if (error === null) return { ...order, status: "ok" };
  // An order that is not compensated yet has failed too.
  return { ...order, status: isOpen ? "compensating" : "error", error: error as ErrorKind };
}

export type HeldFields = [orderId: string, attempt: number, amount: number, acceptedMs: number, endedMs: number, interrupted: number];

/** An attempt of which something is held, as operators see it. */
export function heldAttempt(
  [orderId, attempt, amount, acceptedMs, endedMs, interrupted]: HeldFields,
  rows: readonly (readonly [id: number, step: StepName, tries: number, lastAnswer: string | null])[],
): HeldAttempt {
  const compensations = rows.map(([id, step, tries, lastAnswer]) => ({ id, step, tries, ...(lastAnswer !== null && { lastAnswer }) }));
  return { orderId, attempt, amount, acceptedMs, ...(interrupted !== CLOSED_BY_RESTORE && { endedMs }), compensations };
}
