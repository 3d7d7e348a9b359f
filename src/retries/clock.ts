/** Time as retries see it, so that tests can let a day pass. */
export interface Clock {
  /** Wall clock, milliseconds since 1970: what rows are dated with. */
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
