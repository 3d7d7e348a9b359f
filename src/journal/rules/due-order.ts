import { MOST_TRIES } from "./pauses.ts";

/** A row whose next try is due. */
export interface DueRow {
  /** Rises in the order in which rows were written. */
  readonly id: number;
  readonly tries: number;
  readonly nextTryMs: number;
}

/**
 * The order in which rows that are due come: those that have been due for the longest first. One that is dated ahead of now is due because a clock
 * ran ahead when it was written. Nobody knows for how long it has waited, so it comes before all. `leastTried`: those that were tried least first,
 * and among them one that is dated ahead last.
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
