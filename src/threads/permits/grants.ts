import { Chain, type Link } from "./chain.ts";
import type { HoldTime } from "./hold-time.ts";

/** A permit that somebody has. */
export interface Grant extends Link<Grant> {
  readonly sinceMs: number;
  readonly hold: HoldTime;
  /** Whether the end of its hold is measured although nobody waits then. */
  readonly isMeasured: boolean;
  /** How long the process has stood still since. */
  stalledMs: number;
}

/** The permits of one capacity that are in use, the oldest first. Milliseconds on one clock. */
export class Grants extends Chain<Grant> {
  #measuredFromMs = Number.NEGATIVE_INFINITY;

  /** Measures no hold until `ready` has settled: until then a holder waits for what its permit stands for. */
  async measureFrom(ready: Promise<unknown>, nowMs: () => number): Promise<void> {
    this.#measuredFromMs = Number.POSITIVE_INFINITY;
    // Whoever gave the promise sees its failure.
    await ready.catch(() => {});
    this.#measuredFromMs = nowMs();
  }

  /** How long a permit has been in use, as far as that is measured; negative before. */
  heldMs({ sinceMs }: Grant, nowMs: number): number {
    return nowMs - Math.max(sinceMs, this.#measuredFromMs);
  }

  /** The process has stood still for so long. Holds that ended meanwhile are not known to have ended, so it makes none of them older. */
  stalled(ms: number): void {
    for (let grant = this.first; grant !== undefined; grant = grant.next) grant.stalledMs += ms;
  }

  /**
   * How many permits, of which there are `limit`, can be granted until so much time has passed, by what is known: how long each has been
   * held, and how long holds take. A free one counts at once, one in use when the rest of its hold is over, and each again after each
   * further hold, which takes `expectedMs`.
   */
  within(withinMs: number, limit: number, expectedMs: number, nowMs: number): number {
    const ageMs = (grant: Grant) => Math.max(0, this.heldMs(grant, nowMs) - grant.stalledMs);
    const { last } = this;
    // Where even the youngest has been held for longer than all before it, holds take longer now.
    const longer = last?.hold.isExceededBy(ageMs(last), nowMs) ? 2 * ageMs(last) : 0;
    const everyMs = Math.max(expectedMs, longer, Number.MIN_VALUE);
    let grants = Math.max(0, limit - this.length) * (1 + Math.floor(withinMs / everyMs));
    for (let grant = this.first; grant !== undefined; grant = grant.next) {
      const restMs = grant.hold.restMs(ageMs(grant), nowMs);
      if (restMs <= withinMs) grants += 1 + Math.floor((withinMs - restMs) / everyMs);
    }
    return grants;
  }
}
