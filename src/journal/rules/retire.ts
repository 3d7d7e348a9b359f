import type { Cursor } from "../../orders/operator-journal.ts";
import type { Tables } from "./tables.ts";

/**
 * Deletes failed attempts that ended before a time with all their compensations and answers, and with the last of an order what operators
 * did about it. Looks at up to `limit` of them, after the one that `after` names. Returns where to go on, null at the end.
 */
export function retire(tables: Tables, endedBeforeMs: number, after: Cursor, limit: number): Cursor | null {
  const [afterEndedMs = 0, afterId = 0] = after as readonly number[];
  const found = tables.attempts.failedBefore(endedBeforeMs, afterEndedMs, afterId, limit);
  for (const [id, orderId, attempt] of found) {
    if (tables.compensations.isAnyOpen(id, endedBeforeMs)) continue;
    const open = tables.open.get(orderId);
    // Its answer has to follow.
    if (open?.[0] === attempt) continue;
    const isRunning = open !== undefined;
    if (!isRunning && tables.attempts.latest(orderId)?.[1] === attempt) tables.retired.put(orderId, attempt);
    tables.compensations.remove(id);
    tables.attempts.remove(id);
    if (!isRunning && tables.attempts.latest(orderId) === undefined) tables.actions.removeOf(orderId);
  }
  const last = found.at(-1);
  return last === undefined || found.length < limit ? null : [last[3], last[0]];
}
