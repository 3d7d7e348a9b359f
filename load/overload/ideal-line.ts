/** Orders at a bottleneck of which everything is known. */
export interface IdealLine {
  /** In milliseconds, the earliest first. */
  readonly arrivalsMs: readonly number[];
  /** How many are served at one time, each for exactly `holdMs`. */
  readonly servers: number;
  readonly holdMs: number;
  /** From its arrival until an order has to be done. */
  readonly timeoutMs: number;
}

/**
 * When each order is done that a perfect line takes: first come, first served, and refused is exactly who would wait longer than the deadline
 * leaves beside its hold.
 */
export function idealLine({ arrivalsMs, servers, holdMs, timeoutMs }: IdealLine): number[] {
  const doneMs: number[] = [];
  for (const arrivalMs of arrivalsMs) {
    // With equal holds the servers get free in the order in which they were taken.
    const startMs = Math.max(arrivalMs, doneMs.at(-servers) ?? 0);
    if (startMs - arrivalMs + holdMs <= timeoutMs) doneMs.push(startMs + holdMs);
  }
  return doneMs;
}
