import { type Capacity, PRIORITIES } from "../threads/index.ts";
import { ControlledDelay } from "./controlled-delay.ts";
import { type Demand, fairWeights } from "./fair-shares.ts";

// For whatever the forecast does not know: turns of the event loop, messages between threads, the outcome's way into the journal.
const MARGIN_SHARE = 1 / 20;
// Holds get longer on a machine that gets busier, so a long wait may turn out longer than it was forecast.
const WAIT_SHARE = 0.8;
// So many times what will come on average of other priorities is to fit in front of an order: chance may bring more.
const ARRIVING_TIMES = 2;
// Reckoning anew takes a tenth of a millisecond for a thousand permits. Grants since then are taken off, so none counts twice.
const RECKONED_FOR_MS = 10;
const ONE_KIND = [undefined];

/** The kinds of an order's own holds. */
type Kinds = readonly (string | undefined)[];

/** Why an order was refused: it would miss its deadline, or the line stays and is not to grow. */
export type LineRefusal = "deadline" | "limit";

/**
 * The line of a capacity that orders wait for. An order is admitted if fewer get a permit before it than can be granted while it may wait:
 *
 *     before it < sum over all permits of 1 + floor((permitted wait - rest of the hold) / expected hold)
 *     permitted wait = 0.8 * (deadline - margin - its own holds), or less while the line stays
 *
 * Only other orders come before it, and where a permit is free nothing is refused, so no forecast can lock orders out.
 */
export class Line {
  readonly #capacity: Capacity;
  readonly #demand: Demand;
  readonly #timeoutMs: number;
  readonly #nowMs: () => number;
  readonly #behind: (() => ArrayLike<number>) | undefined;
  readonly #delay: ControlledDelay;
  readonly #before = new Float64Array(PRIORITIES);
  #wasEmpty = true;
  #reckoned = { kinds: ONE_KIND as Kinds, atMs: Number.NEGATIVE_INFINITY, permittedMs: 0, grants: 0, stands: false };

  /** `behind`: who waits for something else first, by priority. */
  constructor(capacity: Capacity, demand: Demand, timeoutMs: number, nowMs: () => number, behind?: () => ArrayLike<number>) {
    this.#capacity = capacity;
    this.#demand = demand;
    this.#timeoutMs = timeoutMs;
    this.#nowMs = nowMs;
    this.#behind = behind;
    this.#delay = new ControlledDelay(timeoutMs, nowMs());
  }

  /** To be called ten times a second. `lateMs`: how much later than that. */
  tick(nowMs: number, lateMs: number): void {
    if (lateMs > 0) this.#capacity.grants.stalled(lateMs);
    this.#delay.tick(this.#wasEmpty || this.#capacity.waiting === 0, nowMs);
    this.#wasEmpty = false;
    this.#capacity.weigh(fairWeights(this.#demand.asked));
  }

  /** Undefined: an order need not wait too long. `kinds`: of its own holds. */
  refusal(priority: number, kinds: Kinds = ONE_KIND): LineRefusal | undefined {
    const { waiting, inUse, limit } = this.#capacity;
    if (waiting === 0) {
      this.#wasEmpty = true;
      if (inUse + this.#coming(0) + this.#coming(1) + this.#coming(2) < limit) return undefined;
    }
    if (this.room(priority, kinds) > 0) return undefined;
    for (const kind of kinds) this.#capacity.holdTime(kind).doubt(this.#nowMs());
    return this.#reckoned.stands ? "limit" : "deadline";
  }

  /** How many more orders of this priority the line can take, less than 1 where it can take none. */
  room(priority: number, kinds: Kinds = ONE_KIND): number {
    const { grants, permittedMs } = this.#reckon(kinds);
    for (let each = 0; each < PRIORITIES; each++) {
      const arriving = each === priority ? 0 : ARRIVING_TIMES * this.#demand.arriving(each, permittedMs);
      this.#before[each] = this.#coming(each) + arriving;
    }
    return grants - this.#capacity.granted - this.#capacity.line.inFrontOf(priority, this.#before);
  }

  /** Who will ask for a permit, and does not stand in the line yet. */
  #coming(priority: number): number {
    return (this.#demand.coming[priority] as number) + (this.#behind?.()[priority] ?? 0);
  }

  #reckon(kinds: Kinds) {
    const nowMs = this.#nowMs();
    if (this.#reckoned.kinds === kinds && nowMs - this.#reckoned.atMs < RECKONED_FOR_MS) return this.#reckoned;
    const ownMs = this.#ownMs(kinds, nowMs);
    const roomMs = WAIT_SHARE * Math.max(0, this.#timeoutMs * (1 - MARGIN_SHARE) - ownMs);
    // By the line's holds, not by the order's own: who holds for long could otherwise wait in it for longer, and shut out who does not.
    const permittedMs = this.#delay.permittedMs(roomMs, this.#capacity.expectedMs(nowMs));
    const grants = this.#capacity.granted + this.#capacity.grantsWithin(permittedMs);
    this.#reckoned = { kinds, atMs: nowMs, permittedMs, grants, stands: permittedMs < roomMs };
    return this.#reckoned;
  }

  /** How long the order's own holds take, side by side as far as there are permits. */
  #ownMs(kinds: Kinds, nowMs: number): number {
    const expectedMs = kinds.map((kind) => this.#capacity.holdTime(kind).expectedMs(nowMs));
    return Math.max(...expectedMs, expectedMs.reduce((sum, ms) => sum + ms, 0) / this.#capacity.limit);
  }
}
