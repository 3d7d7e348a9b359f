import { closeOpen } from "./close-interrupted.ts";
import { CLOSED_BY_RESTORE, type Tables } from "./tables.ts";

/**
 * Closes up to `limit` attempts that ran when the backup was made which this journal came from: failed, with every step held, for they may have
 * ended in any way since. Without an event: nobody is told that an order failed which perhaps has not. Returns how many.
 */
export function closeByRestore(tables: Tables, limit: number, nowMs: number): number {
  return closeOpen(tables, limit, nowMs, CLOSED_BY_RESTORE, "held", nowMs);
}
