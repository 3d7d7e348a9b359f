// A wait that stays serves nobody better than a short one. Short is this share of an order's deadline,
const TARGET_SHARE = 1 / 10;
// or the time of so many holds: a line that is shorter than that may run empty.
const TARGET_HOLDS = 2;
// Half as fast as time passes, so that a line gets shorter while half as many as before are admitted to it, and not nobody.
const SHORTENED_BY = 1 / 2;

/**
 * How long orders may wait now: as long as their deadlines allow in a burst, and the shorter the longer the wait stays. That is CoDel's
 * distinction (Nichols and Jacobson 2012), made at the entry as in Facebook's servers ("Fail at Scale", Maurer 2015).
 */
export class ControlledDelay {
  readonly #timeoutMs: number;
  #shortAtMs: number;
  #stoodMs = 0;

  constructor(timeoutMs: number, nowMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#shortAtMs = nowMs;
  }

  /** To be called ten times a second. `wasShort`: at any moment since the last time. */
  tick(wasShort: boolean, nowMs: number): void {
    if (wasShort) this.#shortAtMs = nowMs;
    this.#stoodMs = nowMs - this.#shortAtMs;
  }

  /** The longest wait that is short, in a line whose holds take `holdMs`. */
  targetMs(holdMs: number): number {
    return Math.max(this.#timeoutMs * TARGET_SHARE, TARGET_HOLDS * holdMs);
  }

  /** The longest wait to be permitted now. `roomMs`: what the deadline allows. */
  permittedMs(roomMs: number, holdMs: number): number {
    return Math.max(Math.min(roomMs, this.targetMs(holdMs)), roomMs - SHORTENED_BY * this.#stoodMs);
  }
}
