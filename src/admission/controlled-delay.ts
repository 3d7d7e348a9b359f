// Of an order's deadline. A line that was never short for so long does not come from a burst.
const INTERVAL_SHARE = 1 / 2;
// And that takes this long at least: with a short deadline a moment in which the machine is busy with something else is no overload.
const LEAST_INTERVAL_MS = 1_000;
// A line that stays serves nobody better than a short one. Short is this share of the deadline,
const TARGET_SHARE = 1 / 10;
// or the time of so many holds: a line that is shorter than that may run empty.
const TARGET_HOLDS = 2;

/**
 * How long an order may wait in a line now: as long as its deadline allows while the line comes from a burst, and a short time while it
 * stays. That is CoDel's distinction (Nichols and Jacobson 2012), made at the entry as in Facebook's servers ("Fail at Scale", Maurer 2015).
 */
export class ControlledDelay {
  readonly #timeoutMs: number;
  #shortAtMs: number;
  #stands = false;

  constructor(timeoutMs: number, nowMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#shortAtMs = nowMs;
  }

  /** To be called ten times a second. `wasShort`: at any moment since the last time. */
  tick(wasShort: boolean, nowMs: number): void {
    if (wasShort) this.#shortAtMs = nowMs;
    this.#stands = nowMs - this.#shortAtMs > Math.max(LEAST_INTERVAL_MS, this.#timeoutMs * INTERVAL_SHARE);
  }

  /** The longest wait that is short, for what takes `holdMs`. */
  targetMs(holdMs: number): number {
    return Math.max(this.#timeoutMs * TARGET_SHARE, TARGET_HOLDS * holdMs);
  }

  /** The longest wait to be permitted now. `roomMs`: what the deadline allows. */
  permittedMs(roomMs: number, holdMs: number): number {
    return this.#stands ? Math.min(roomMs, this.targetMs(holdMs)) : roomMs;
  }
}
