import type { RestoreConfirmed } from "../../orders/operator-journal.ts";
import { CLOSED_BY_RESTORE, type Tables } from "./tables.ts";

/**
 * Lets what is held of an order go on, of all orders where it is null; up to `limit` attempts. From now on an attempt that the restore closed has
 * failed for everybody.
 */
export function confirmRestore(tables: Tables, orderId: string | null, nowMs: number, limit: number, actor: string): RestoreConfirmed {
  const ids = orderId === null ? tables.held.attempts(0, limit) : tables.held.attemptsAt(orderId, limit);
  let compensations = 0;
  for (const id of ids) {
    const confirmed = tables.held.confirm(id, nowMs);
    const attempt = tables.attempts.byId(id);
    compensations += confirmed;
    tables.actions.add(nowMs, actor, "confirm", attempt.orderId, `${confirmed} compensations of attempt ${attempt.attempt}`);
    if (attempt.interrupted !== CLOSED_BY_RESTORE) continue;
    tables.attempts.told(id);
    tables.outbox.add("order.failed", attempt.orderId, attempt.amount, attempt.attempt, attempt.error, nowMs);
  }
  return { compensations, isAll: ids.length < limit };
}
