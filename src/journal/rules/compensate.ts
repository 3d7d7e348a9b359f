import type { CompensationStatus } from "../../orders/compensation-state.ts";
import type { CompensationRow, RestoreConfirmed } from "../../orders/operator-journal.ts";
import { STEPS } from "../../orders/steps.ts";
import type { TriedFields } from "../protocol.ts";
import { CLOSED_BY_RESTORE, type Tables } from "./tables.ts";

/** Stores how a try ended. After the last compensation of the attempt the order is compensated. Returns the state of the row. */
export function compensationTried(tables: Tables, [id, nextTryMs, lastAnswer]: TriedFields, nowMs: number): CompensationStatus {
  const wasTrying = tables.compensations.tried(id, nextTryMs, lastAnswer, nowMs);
  if (wasTrying && nextTryMs === null) addEventWhenCompensated(tables, id, nowMs);
  if (wasTrying) return nextTryMs === null ? "done" : "pending";
  const row = tables.compensations.row(id);
  if (row === null) throw new Error(`there is no compensation ${id}`);
  // Others took the process for dead, and another one tries it now: what that one hears counts.
  if (row.status === "trying") return row.status;
  // Whatever a provider says late is on record.
  tables.compensations.answeredLate(id, `late: ${lastAnswer ?? "done"}`);
  return row.status;
}

/** Takes one that is pending for a try that an operator wants. Returns its row as it was, null where there is none. */
export function takeCompensation(tables: Tables, id: number, nowMs: number, actor: string): CompensationRow | null {
  const row = tables.compensations.row(id);
  if (row?.status !== "pending") return row;
  // Of a step that only another version has: nobody here could try it, and it would stay taken.
  if (!STEPS.includes(row.step)) return null;
  tables.compensations.take(id);
  tables.actions.add(nowMs, actor, "retry", row.orderId, wordsFor(row));
  return row;
}

/** Marks one as settled by an operator where that is possible. Returns its row, null where there is none. */
export function settleCompensation(tables: Tables, id: number, note: string, nowMs: number, actor: string): CompensationRow | null {
  const waited = tables.compensations.settle(id, note, nowMs);
  if (waited) addEventWhenCompensated(tables, id, nowMs);
  const row = tables.compensations.row(id);
  if (waited && row !== null) tables.actions.add(nowMs, actor, "settle", row.orderId, `${wordsFor(row)}: ${note}`);
  return row;
}

/**
 * Lets what is held of an order go on, of all where that is absent; up to `limit` attempts. One that the restore closed has now failed for everybody.
 */
export function confirmRestore(tables: Tables, orderId: string | undefined, nowMs: number, limit: number, actor: string): RestoreConfirmed {
  const ids = orderId === undefined ? tables.held.attempts(0, limit) : tables.held.attemptsAt(orderId, limit);
  let compensations = 0;
  for (const id of ids) {
    const confirmed = tables.held.confirm(id, nowMs);
    // On PostgreSQL another node may have done it since the ids were read.
    if (confirmed === 0) continue;
    const attempt = tables.attempts.byId(id);
    compensations += confirmed;
    tables.actions.add(nowMs, actor, "confirm", attempt.orderId, `${confirmed} compensations of attempt ${attempt.attempt}`);
    if (attempt.interrupted !== CLOSED_BY_RESTORE) continue;
    tables.attempts.told(id);
    tables.outbox.add("order.failed", attempt.orderId, attempt.amount, attempt.attempt, attempt.error, nowMs);
  }
  return { compensations, isAll: ids.length < limit };
}

function wordsFor({ id, attempt, step }: CompensationRow): string {
  return `compensation ${id} (attempt ${attempt}, ${step})`;
}

function addEventWhenCompensated(tables: Tables, id: number, nowMs: number): void {
  if (!tables.outbox.isEnabled) return;
  const attemptId = tables.compensations.attemptOf(id);
  if (tables.compensations.isAnyOpen(attemptId)) return;
  const { orderId, amount, attempt, error, interrupted } = tables.attempts.byId(attemptId);
  // Nobody was told that it failed, and all of it was settled by hand.
  if (interrupted === CLOSED_BY_RESTORE) return;
  tables.outbox.add("order.compensated", orderId, amount, attempt, error, nowMs);
}
