/**
 * Milliseconds with fractions on a clock that never goes back and is the same on every thread of the process. Any thread.
 *
 * Rejected: `performance.now()` plus an offset for each thread. A thread that is interrupted while it takes the offset is wrong by that
 * much for ever (14 ms were seen).
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
