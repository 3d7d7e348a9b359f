import type { Cursor } from "../../../src/orders/operator-journal.ts";
import type { Tables } from "../tables/tables.ts";

/**
 * Deletes failed attempts that ended before a time, with their compensations; an attempt of which something is not compensated yet
 * stays. Looks at up to `limit` of them, after the one that `after` names. Returns where to go on, null at the end.
 */
export function retire(tables: Tables, endedBeforeMs: number, after: Cursor, limit: number): Cursor | null {
  const [afterEndedMs = 0, afterId = 0] = after as readonly number[];
  const found = tables.attempts.failedBefore(endedBeforeMs, afterEndedMs, afterId, limit);
  for (const [id, orderId, attempt] of found) {
    if (tables.compensations.isAnyOpen(id)) continue;
    const isLast = tables.attempts.latest(orderId)?.[1] === attempt && tables.open.get(orderId) === undefined;
    if (isLast) tables.retired.put(orderId, attempt);
    tables.compensations.remove(id);
    tables.attempts.remove(id);
  }
  const last = found.at(-1);
  return last === undefined || found.length < limit ? null : [last[3], last[0]];
}
