/** Exponential backoff: pauses double from `baseMs`, never above `capMs`. */
export interface BackoffPolicy {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Between tries of one compensation: a customer waits for the money, so the first come at once and the last every minute. */
export const COMPENSATION_BACKOFF: BackoffPolicy = { baseMs: 200, capMs: 60_000 };

/**
 * Between tries of one event. A deploy or a lock passes within seconds; what lasts for hours is found within ten minutes of
 * its repair, for about 150 tries before an event is given up.
 */
export const EVENT_BACKOFF: BackoffPolicy = { baseMs: 1_000, capMs: 600_000 };

/**
 * Between probes of something that everything else waits for: an endpoint that is down, a journal that cannot be used. One
 * probe every ten seconds is no load for either, and a longer pause would keep a whole backlog waiting after the repair.
 * From half a second, because most outages are restarts.
 */
export const PROBE_BACKOFF: BackoffPolicy = { baseMs: 500, capMs: 10_000 };

/**
 * The pause in milliseconds after so many failed tries (1 or more). Half of it is fixed, so that pauses surely grow, and half
 * jitter (`random` gives 0 to 1), so that what failed together does not come back together.
 */
export function backoffMs(failures: number, { baseMs, capMs }: BackoffPolicy, random: () => number): number {
  const fullMs = Math.min(capMs, baseMs * 2 ** (failures - 1));
  return Math.round(fullMs * (0.5 + random() / 2));
}

/**
 * As `backoffMs`, but all of it jitter. Within an order there is no time to waste, and of many calls that failed together the next
 * tries should be spread as widely as they can be.
 */
export function fullJitterMs(failures: number, { baseMs, capMs }: BackoffPolicy, random: () => number): number {
  return random() * Math.min(capMs, baseMs * 2 ** (failures - 1));
}
