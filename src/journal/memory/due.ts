import type { DuePage } from "../../resilience/retry-queue.ts";
import { type DueRow, dueOrder } from "../rules/due-order.ts";

/** A row that waits for its next try; null of one that waits for something else. */
interface Waiting extends Omit<DueRow, "nextTryMs"> {
  readonly nextTryMs: number | null;
}

/** The rows whose next try is due, in their order. `longestPauseMs`: see the rules. */
export function duePage<Row extends Waiting>(
  rows: Iterable<Row>,
  nowMs: number,
  limit: number,
  leastTried: boolean,
  longestPauseMs: (tries: number) => number,
): DuePage<Row> {
  const due: (Row & DueRow)[] = [];
  let nextDueMs = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const { nextTryMs, tries } = row;
    if (nextTryMs === null) continue;
    // One dated further ahead than any pause it may have: the clock ran ahead when it was written.
    if (nextTryMs <= nowMs || nextTryMs > nowMs + longestPauseMs(tries)) due.push(row as Row & DueRow);
    else nextDueMs = Math.min(nextDueMs, nextTryMs);
  }
  due.sort(dueOrder(nowMs, leastTried));
  return { items: due.slice(0, limit), ...(nextDueMs !== Number.POSITIVE_INFINITY && { nextDueMs }) };
}
