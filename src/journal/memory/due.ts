import type { DuePage } from "../../retries/retry-queue.ts";

/** A row that waits for its next try. */
interface Waiting {
  readonly nextTryMs: number | null;
  readonly tries: number;
}

/** The rows whose next try is due: those tried least, or those due for the longest, first. `longestPauseMs`: see the rules. */
export function duePage<Row extends Waiting>(
  rows: Iterable<Row>,
  nowMs: number,
  limit: number,
  leastTried: boolean,
  longestPauseMs: (tries: number) => number,
): DuePage<Row> {
  const due: Row[] = [];
  let nextDueMs = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const { nextTryMs, tries } = row;
    if (nextTryMs === null) continue;
    // One dated further ahead than any pause it may have: the clock ran ahead when it was written.
    if (nextTryMs <= nowMs || nextTryMs > nowMs + longestPauseMs(tries)) due.push(row);
    else nextDueMs = Math.min(nextDueMs, nextTryMs);
  }
  const byDue = (a: Row, b: Row) => (a.nextTryMs ?? 0) - (b.nextTryMs ?? 0);
  due.sort(leastTried ? (a, b) => a.tries - b.tries || byDue(a, b) : byDue);
  return { items: due.slice(0, limit), ...(nextDueMs !== Number.POSITIVE_INFINITY && { nextDueMs }) };
}
