/** A wall-clock time as answers show it. Of none it is undefined, and JSON leaves that out. */
export function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

/** Whole seconds from `sinceMs` until `untilMs`; 0 where the clock was set back between them. */
export function ageSeconds(sinceMs: number, untilMs: number = Date.now()): number {
  return Math.max(0, Math.floor((untilMs - sinceMs) / 1_000));
}
