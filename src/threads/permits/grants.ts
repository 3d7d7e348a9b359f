import { Chain, type Link } from "../chain.ts";
import type { HoldTime } from "./hold-time.ts";

/** One unit of a `Capacity`. Give it back with `using` or `release()`; doing both, or twice, throws. */
export class Permit implements Link<Permit> {
  /** For the library, as what follows. */
  previous: Permit | undefined;
  next: Permit | undefined;
  readonly hold: HoldTime;
  readonly sinceMs: number;
  /** Whether the end of its hold is measured although nobody waits then. */
  readonly isMeasured: boolean;
  /** How long the process has stood still since. */
  stalledMs = 0;
  readonly #giveBack: (permit: Permit, cutOff: boolean) => void;
  #isReleased = false;

  constructor(giveBack: (permit: Permit, cutOff: boolean) => void, hold: HoldTime, sinceMs: number, isMeasured: boolean) {
    this.#giveBack = giveBack;
    this.hold = hold;
    this.sinceMs = sinceMs;
    this.isMeasured = isMeasured;
  }

  /** `cutOff`: the hold would have taken longer, but came too late for that. It says how long holds take at least. */
  release(cutOff = false): void {
    if (this.#isReleased) throw new Error("permit released twice");
    this.#isReleased = true;
    this.#giveBack(this, cutOff);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The permits of one capacity that are in use, the oldest first. Milliseconds on one clock. */
export class Grants extends Chain<Permit> {
  #measuredFromMs = Number.NEGATIVE_INFINITY;

  /** Measures no hold until `ready` has settled: until then a holder waits for what its permit stands for. */
  async measureFrom(ready: Promise<unknown>, nowMs: () => number): Promise<void> {
    this.#measuredFromMs = Number.POSITIVE_INFINITY;
    // Whoever gave the promise sees its failure.
    await ready.catch(() => {});
    this.#measuredFromMs = nowMs();
  }

  /** How long a permit has been in use, as far as that is measured; negative before. */
  heldMs({ sinceMs }: Permit, nowMs: number): number {
    return nowMs - Math.max(sinceMs, this.#measuredFromMs);
  }

  /** The process has stood still for so long. Holds that ended meanwhile are not known to have ended, so it makes none of them older. */
  stalled(ms: number): void {
    for (let permit = this.first; permit !== undefined; permit = permit.next) permit.stalledMs += ms;
  }

  /**
   * How many of `limit` permits can be granted until so much time has passed: a free one at once, one in use when the rest of its hold is
   * over, and each again after each further hold, which takes `expectedMs`.
   */
  within(withinMs: number, limit: number, expectedMs: number, nowMs: number): number {
    const ageMs = (permit: Permit) => Math.max(0, this.heldMs(permit, nowMs) - permit.stalledMs);
    const { last } = this;
    // Where even the youngest has been held for longer than all before it, holds take longer now.
    const longer = last?.hold.isExceededBy(ageMs(last), nowMs) ? 2 * ageMs(last) : 0;
    const everyMs = Math.max(expectedMs, longer, Number.MIN_VALUE);
    let grants = Math.max(0, limit - this.length) * (1 + Math.floor(withinMs / everyMs));
    for (let permit = this.first; permit !== undefined; permit = permit.next) {
      const restMs = permit.hold.restMs(ageMs(permit), nowMs);
      if (restMs <= withinMs) grants += 1 + Math.floor((withinMs - restMs) / everyMs);
    }
    return grants;
  }
}
