import { COMPENSATION_BACKOFF, EVENT_BACKOFF, longestBackoffMs, MAX_ASKED_WAIT_MS } from "../../resilience/backoff.ts";
import { MAX_RETRY_AFTER_MS } from "../../resilience/retry-after.ts";

/** Rows that were tried so often or more often have the same longest pause. The indexes of all stores are made with this number. */
export const MOST_TRIES = 16;

/**
 * How far ahead a compensation may be due that was never tried. An attempt whose node died is closed at once, but calls of it may be under way
 * until its deadline and the time of a call are over: with the default settings seven seconds.
 */
export const LONGEST_FIRST_PAUSE_MS = 60_000;

/** How long calls of a dead node may go on at most: the clock of the node that reads the row may be the rest behind. */
export const LONGEST_CALLS_MS = LONGEST_FIRST_PAUSE_MS - 10_000;

/**
 * How far ahead of now, milliseconds, the next try of a compensation may be that was tried so often. One dated further ahead was written while
 * the clock ran ahead: it is due, or a customer would wait for the money until the clock is there again.
 */
export function longestCompensationPauseMs(tries: number): number {
  return tries === 0 ? LONGEST_FIRST_PAUSE_MS : Math.max(MAX_ASKED_WAIT_MS, longestBackoffMs(tries, COMPENSATION_BACKOFF));
}

/** The same for an event. */
export function longestEventPauseMs(tries: number): number {
  return tries === 0 ? 0 : Math.max(MAX_RETRY_AFTER_MS, longestBackoffMs(tries, EVENT_BACKOFF));
}
