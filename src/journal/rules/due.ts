import { COMPENSATION_BACKOFF, EVENT_BACKOFF, longestBackoffMs, MAX_ASKED_WAIT_MS } from "../../resilience/backoff.ts";
import { MAX_RETRY_AFTER_MS } from "../../resilience/retry-after.ts";
import type { DuePage } from "../../resilience/retry-queue.ts";

/** Rows that were tried so often or more often have the same longest pause. The indexes of all stores are made with this number. */
export const MOST_TRIES = 16;

/**
 * How far ahead a compensation may be due that was never tried: calls of a dead node may go on for an order's deadline and a call's time.
 */
export const LONGEST_FIRST_PAUSE_MS = 60_000;

/** How long calls of a dead node may go on at most: the clock of the node that reads the row may be the rest behind. */
export const LONGEST_CALLS_MS = LONGEST_FIRST_PAUSE_MS - 10_000;

/**
 * How far ahead the next try of a compensation may be that was tried so often. One dated further ahead is due: the clock ran ahead then.
 */
export function longestCompensationPauseMs(tries: number): number {
  return tries === 0 ? LONGEST_FIRST_PAUSE_MS : Math.max(MAX_ASKED_WAIT_MS, longestBackoffMs(tries, COMPENSATION_BACKOFF));
}

/** The same for an event. */
export function longestEventPauseMs(tries: number): number {
  return tries === 0 ? 0 : Math.max(MAX_RETRY_AFTER_MS, longestBackoffMs(tries, EVENT_BACKOFF));
}

/** A row whose next try is due. */
export interface DueRow {
  /** Rises in the order in which rows were written. */
  readonly id: number;
  readonly tries: number;
  readonly nextTryMs: number;
}

/**
 * The order of rows that are due: those due for the longest first, and before them those dated ahead of now (a clock ran ahead when they
 * were written). `leastTried`: those that were tried least first, and among them those dated ahead last.
 */
export function dueOrder(nowMs: number, leastTried: boolean): (a: DueRow, b: DueRow) => number {
  const triesOf = ({ tries }: DueRow) => Math.min(tries, MOST_TRIES);
  const ahead = leastTried ? Number.MAX_SAFE_INTEGER : -1;
  const sinceMs = ({ nextTryMs }: DueRow) => (nextTryMs > nowMs ? ahead : nextTryMs);
  const byTries = (a: DueRow, b: DueRow) => triesOf(a) - triesOf(b);
  const bySince = (a: DueRow, b: DueRow) => sinceMs(a) - sinceMs(b);
  const [first, second] = leastTried ? [byTries, bySince] : [bySince, byTries];
  return (a, b) => first(a, b) || second(a, b) || a.nextTryMs - b.nextTryMs || a.id - b.id;
}

/** A row that waits for its next try; null of one that waits for something else. */
interface MaybeDueRow extends Omit<DueRow, "nextTryMs"> {
  readonly nextTryMs: number | null;
}

/** The rows whose next try is due, in their order. `longestPauseMs`: see the rules. */
export function duePage<Row extends MaybeDueRow>(
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
