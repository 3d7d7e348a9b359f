import type { CompensationTriedOperation } from "../../../src/journal/protocol.ts";
import type { CompensationRow } from "../../../src/orders/operator-journal.ts";
import type { EndedAttempt } from "../tables/attempts.ts";
import type { Tables } from "../tables/tables.ts";

/** Counts a try. After the last compensation of the attempt the order is compensated. */
export function compensationTried(
  tables: Tables,
  [, orderId, attempt, step, nextTryMs, lastAnswer, nowMs]: CompensationTriedOperation,
): null {
  const ended = endedAttempt(tables, orderId, attempt);
  const waited = tables.compensations.tried(ended[0], step, nextTryMs, lastAnswer, nowMs);
  if (waited && nextTryMs === null) addEventWhenCompensated(tables, orderId, ended, nowMs);
  return null;
}

/** Marks a pending compensation as settled by an operator; another stays as it is. Returns its row, null where there is none. */
export function settleCompensation(tables: Tables, id: number, note: string, nowMs: number): CompensationRow | null {
  const waited = tables.compensations.settle(id, note, nowMs);
  const row = tables.compensations.row(id);
  if (waited && row !== null) addEventWhenCompensated(tables, row.orderId, endedAttempt(tables, row.orderId, row.attempt), nowMs);
  return row;
}

function endedAttempt(tables: Tables, orderId: string, attempt: number): EndedAttempt {
  const ended = tables.attempts.one(orderId, attempt);
  if (ended === undefined) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} has not ended`);
  return ended;
}

function addEventWhenCompensated(tables: Tables, orderId: string, [id, attempt, amount, , , error]: EndedAttempt, nowMs: number): void {
  if (!tables.compensations.isAnyPending(id)) tables.outbox.add("order.compensated", orderId, amount, attempt, error, nowMs);
}
