// `performance.now()` counts from each thread's own start. `process.hrtime` reads the same clock
// from one origin for the whole process, so the difference makes readings comparable across threads.
const ORIGIN_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds with fractions on a clock that never goes back and is the same on every thread of the process. Any thread. */
export function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}
