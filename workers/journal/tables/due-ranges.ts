// No retry policy, lease or `Retry-After` puts a next try so far ahead: one that is was dated by a clock that ran ahead and has been set
// right since, by as much as years. Its row is due, or a customer would wait for the money for as long.
const BEYOND_ALL_PAUSES_MS = 2 * 60 * 60 * 1000;
const BEFORE_ALL = -1;

/**
 * The ranges of `next_try_ms` that are due, the second one to be looked at where the first does not fill a page: after it, and up
 * to it.
 */
export function dueRanges(nowMs: number): readonly (readonly [after: number, upTo: number])[] {
  return [
    [BEFORE_ALL, nowMs],
    [nowMs + BEYOND_ALL_PAUSES_MS, Number.MAX_SAFE_INTEGER],
  ];
}
