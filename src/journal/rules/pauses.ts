import { MAX_RETRY_AFTER_MS } from "../../outgoing/retry-after.ts";
import { COMPENSATION_BACKOFF, EVENT_BACKOFF, longestBackoffMs, MAX_HOLD_MS } from "../../retries/backoff.ts";

/**
 * How far ahead of now, milliseconds, the next try of a compensation may be that was tried so often. One dated further ahead was written while
 * the clock ran ahead: it is due, or a customer would wait for the money until the clock is there again.
 */
export function longestCompensationPauseMs(tries: number): number {
  return tries === 0 ? 0 : Math.max(MAX_HOLD_MS, longestBackoffMs(tries, COMPENSATION_BACKOFF));
}

/** The same for an event. */
export function longestEventPauseMs(tries: number): number {
  return tries === 0 ? 0 : Math.max(MAX_RETRY_AFTER_MS, longestBackoffMs(tries, EVENT_BACKOFF));
}
