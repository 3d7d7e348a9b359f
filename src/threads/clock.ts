// As it is now: a task may put the clock of a test into its place, and its thread would seem to stand still.
const { hrtime } = process;

/**
 * Milliseconds on a clock that never goes back and is the same on every thread of the process. Any thread. Rejected: `performance.now()`
 * plus an offset for each thread, which stays wrong where the thread was interrupted while it took it (14 ms were seen).
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** A clock and timers, for code that waits for long: tests put in a clock of their own and let a day pass. Any thread. */
export interface Clock {
  /** Milliseconds: since 1970 unless something else is said. */
  nowMs(): number;
  /** Calls back once after a delay, 0 to 2^31-1 ms, which a step of the wall clock does not change. Returns how to stop it. */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
