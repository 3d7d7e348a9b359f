/**
 * Milliseconds with fractions on a clock that never goes back and is the same on every thread of the process. Any thread.
 *
 * Rejected: `performance.now()` plus an offset taken once a thread. A thread that is interrupted between the two
 * readings that make the offset is wrong by that much for all its life (14 ms were seen).
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
