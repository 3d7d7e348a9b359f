interface IdealLine {
  /** How many are served at one time. */
  readonly limit: number;
  /** From its arrival until an order is given up. */
  readonly timeoutMs: number;
  /** The longest wait. By default what the deadline leaves beside the order's own hold. */
  readonly roomMs?: number;
}

/**
 * When orders (the earliest first) would be done by the best that can be: a line that knows how long each of them will hold its place, and
 * refuses exactly those that would wait for longer than `roomMs`. Those that are not done in time are left out.
 */
export function idealLine(
  arrivals: readonly { readonly atMs: number; readonly holdMs: number }[],
  { limit, timeoutMs, roomMs }: IdealLine,
): number[] {
  const freeAtMs: number[] = Array(limit).fill(0);
  const doneAtMs: number[] = [];
  for (const { atMs, holdMs } of arrivals) {
    let first = 0;
    for (let each = 1; each < limit; each++) if ((freeAtMs[each] as number) < (freeAtMs[first] as number)) first = each;
    const startMs = Math.max(atMs, freeAtMs[first] as number);
    if (startMs - atMs > (roomMs ?? timeoutMs - holdMs)) continue;
    freeAtMs[first] = startMs + Math.min(holdMs, atMs + timeoutMs - startMs);
    if (startMs + holdMs <= atMs + timeoutMs) doneAtMs.push(startMs + holdMs);
  }
  return doneAtMs;
}
