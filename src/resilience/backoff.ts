/** Exponential backoff: pauses double from `baseMs` up to `capMs`. */
export interface BackoffPolicy {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Between tries of one compensation. A customer waits for the money; but one that is refused for an hour is refused for a reason of its
 * own.
 */
export const COMPENSATION_BACKOFF: BackoffPolicy = { baseMs: 200, capMs: 3_600_000 };

/** Between tries of one event: about 150 before it is given up, and after an outage of hours the next within ten minutes. */
export const EVENT_BACKOFF: BackoffPolicy = { baseMs: 1_000, capMs: 600_000 };

/**
 * Between probes of an endpoint that is down or a journal that cannot be used: no load for either, and a longer pause would keep a whole
 * backlog waiting after the repair. Most outages are restarts.
 */
export const PROBE_BACKOFF: BackoffPolicy = { baseMs: 500, capMs: 10_000 };

export function longestBackoffMs(failures: number, { baseMs, capMs }: BackoffPolicy): number {
  return Math.min(capMs, baseMs * 2 ** (failures - 1));
}

/** The pause after `failures` failed tries (1 or more): half fixed, so that pauses grow, half jitter, so that calls part. */
export function backoffMs(failures: number, policy: BackoffPolicy, random: () => number): number {
  return Math.round(longestBackoffMs(failures, policy) * (0.5 + random() / 2));
}

/** As `backoffMs`, all jitter: an order has no time for a fixed part, and retries are spread as widely as possible. */
export function fullJitterMs(failures: number, policy: BackoffPolicy, random: () => number): number {
  return random() * longestBackoffMs(failures, policy);
}

/** The longest time without a call at an endpoint's own wish, milliseconds: a mistake (a date of next year) must not stop everything. */
export const MAX_ASKED_WAIT_MS = 60_000;
