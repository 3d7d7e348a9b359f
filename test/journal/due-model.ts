/** A row that waits for its next try. `n` rises in the order in which rows were written. */
export interface DatedRow {
  readonly n: number;
  readonly tries: number;
  readonly nextTryMs: number;
}

// Rows tried more often are not told apart.
const MOST_TRIES = 16;
const HOUR_MS = 3_600_000;

/** The longest pause of a compensation and of an event after so many failed tries, milliseconds. */
export const LONGEST_PAUSE_MS = {
  compensation: (tries: number) => Math.max(60_000, tries === 0 ? 0 : Math.min(HOUR_MS, 100 * 2 ** tries)),
  event: (tries: number) => (tries === 0 ? 0 : HOUR_MS),
};

/**
 * Which rows are due: those whose time has come, and those dated further ahead than they can be. Those come first whose date says nothing, then
 * those due for the longest; where the least tried are asked for, those. `nextDueMs` is the earliest date of the others.
 */
export function dueAmong<Row extends DatedRow>(
  rows: readonly Row[],
  { nowMs, limit, leastTried }: { readonly nowMs: number; readonly limit: number; readonly leastTried: boolean },
  longestPauseMs: (tries: number) => number,
): { items: Row[]; nextDueMs?: number } {
  const isAhead = ({ tries, nextTryMs }: Row) => nextTryMs > nowMs + longestPauseMs(tries);
  const isDue = (row: Row) => row.nextTryMs <= nowMs || isAhead(row);
  const rank = (row: Row) => {
    const [group, ahead] = [Math.min(MOST_TRIES, row.tries), isAhead(row)];
    return leastTried ? [group, ahead ? 1 : 0, row.nextTryMs, row.n] : [ahead ? -1 : row.nextTryMs, group, row.nextTryMs, row.n];
  };
  const items = rows.filter(isDue).sort((one, other) => compared(rank(one), rank(other)));
  const waiting = rows.filter((row) => !isDue(row)).map(({ nextTryMs }) => nextTryMs);
  return { items: items.slice(0, limit), ...(waiting.length > 0 && { nextDueMs: Math.min(...waiting) }) };
}

/** What tells one row from another where they are ordered, but for when they were written. */
export function rankOf(row: DatedRow | undefined): readonly unknown[] {
  return [row?.nextTryMs, Math.min(MOST_TRIES, row?.tries ?? 0)];
}

function compared(one: readonly number[], other: readonly number[]): number {
  const index = one.findIndex((value, at) => value !== other[at]);
  return index < 0 ? 0 : (one[index] ?? 0) - (other[index] ?? 0);
}
