import { setTimeout as pause } from "node:timers/promises";
import type { CourierCount } from "../ledger/providers.ts";
import type { Call } from "../stand-in/call.ts";
import type { FaultMode } from "../stand-in/fault-mode.ts";

const LOOK_EVERY_MS = 5;
// A connection that was closed is read as closed within that time, also in a busy process.
const READ_WITHIN_MS = 150;

// A frozen node hangs up on nobody: a call without an end would count for as long as the node is frozen. And who has read half an answer may have
// begun another call before the end of this one is seen here.
const UNCOUNTABLE: readonly FaultMode["type"][] = ["hang", "hangUpHalfway"];

export interface CouriersOptions {
  readonly count: number;
  /** How long a call takes at least: so long that there are too few of them. */
  readonly slowMs: number;
  /** More were in use than there are. `calls`: since when, in words. */
  readonly onTooMany: (inUse: number, calls: string) => void;
}

/** What the courier service sees of a cluster: the calls that are under way at one time. */
export class Couriers implements CourierCount {
  readonly #options: CouriersOptions;
  /** With when each began. */
  readonly #underWay = new Map<Call, number>();
  readonly #gone = new WeakSet<Call>();
  #most = 0;
  #held: Promise<void> | undefined;

  constructor(options: CouriersOptions) {
    this.#options = options;
  }

  /** The most that were in use at one time. */
  get most(): number {
    return this.#most;
  }

  began(call: Call, mode: FaultMode): FaultMode {
    this.#underWay.set(call, performance.now());
    if (this.#underWay.size <= this.#options.count) this.#most = Math.max(this.#most, this.#underWay.size);
    else this.#suspect(new Map(this.#underWay));
    const type = UNCOUNTABLE.includes(mode.type) ? "answer" : mode.type;
    return { ...mode, type, slowMs: (mode.slowMs ?? 0) + this.#options.slowMs, ...(this.#held && { after: this.#held }) };
  }

  /** The client had closed its connection, perhaps before another call came that was read first. */
  gone(call: Call): void {
    this.#gone.add(call);
  }

  ended(call: Call): void {
    this.#underWay.delete(call);
  }

  /**
   * Waits until all are in use. Resolves with how long that took, milliseconds; undefined after `limitMs`. No call that comes meanwhile is answered
   * before: a cluster that can use all of them then does.
   */
  async untilAllInUse(limitMs: number): Promise<number | undefined> {
    const startMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    while (this.#underWay.size < this.#options.count) {
      if (performance.now() - startMs > limitMs) break;
      await pause(LOOK_EVERY_MS);
    }
    this.#held = undefined;
    resolve();
    return this.#underWay.size < this.#options.count ? undefined : performance.now() - startMs;
  }

  #suspect(calls: ReadonlyMap<Call, number>): void {
    const nowMs = performance.now();
    setTimeout(() => {
      const inUse = [...calls].filter(([call]) => !this.#gone.has(call));
      this.#most = Math.max(this.#most, inUse.length);
      const words = inUse.map(([{ key }, beganMs]) => `${key} for ${Math.round(nowMs - beganMs)} ms`);
      if (inUse.length > this.#options.count) this.#options.onTooMany(inUse.length, words.join(", "));
    }, READ_WITHIN_MS);
  }
}
