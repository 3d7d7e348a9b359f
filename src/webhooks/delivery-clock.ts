/** Time as delivery sees it, so that tests can let a day pass. */
export interface DeliveryClock {
  /** Wall clock, milliseconds since 1970: what events are dated and tries are signed with. */
  nowMs(): number;
  /** Calls back once after a delay, 0 to 2^31-1 ms, which a step of the wall clock does not change. Returns how to stop it. */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: DeliveryClock = {
  nowMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
