import type { HoldTime } from "../threads/index.ts";

// Until a capacity has shown how long its permits are held: about what the simulated providers take of the default deadline. Or twice as
// long as the first one is held by now: of what has lasted so long nothing better is known than that it may last as long again.
const UNKNOWN_HOLD_SHARE = 1 / 20;
const UNKNOWN_HOLD_TIMES = 2;
// For whatever the forecast does not know: turns of the event loop, messages between threads, the outcome's way into the journal.
const MARGIN_SHARE = 1 / 20;
// How much of the time that the deadline leaves a line may take up, by urgency. The most urgent leave what waiters may be overtaken
// by (`agingMs`, 7 times at most), so that an order which was admitted keeps its deadline even when a flood of urgent ones
// follows it. The least urgent are refused at little more than half of that.
const LINE_SHARE = 0.85;
const LINE_SHARE_A_LEVEL = 0.05;

/** What has to be known of a capacity: how full it is, and how long its permits are held. */
export interface CapacityView {
  readonly limit: number;
  readonly inUse: number;
  readonly waiting: number;
  readonly held: Readonly<Pick<HoldTime, "averageMs" | "firstHeldForMs">>;
}

/** The part of a line's permitted length that an order of this urgency may find in front of it, of the room that its deadline leaves. */
export function shareOf(urgency: number): number {
  return LINE_SHARE - urgency * LINE_SHARE_A_LEVEL;
}

/** How long an order will wait for one capacity. Pure: all of it from what the capacity shows. */
export class WaitForecast {
  readonly #capacity: CapacityView;
  readonly #timeoutMs: number;

  /** `timeoutMs`: the deadline of an order. */
  constructor(capacity: CapacityView, timeoutMs: number) {
    this.#capacity = capacity;
    this.#timeoutMs = timeoutMs;
  }

  get holdMs(): number {
    const { averageMs, firstHeldForMs } = this.#capacity.held;
    return averageMs ?? Math.max(this.#timeoutMs * UNKNOWN_HOLD_SHARE, UNKNOWN_HOLD_TIMES * firstHeldForMs);
  }

  /** How long it takes until one more permit comes back while all are in use. */
  get turnMs(): number {
    return this.holdMs / this.#capacity.limit;
  }

  /** Of a newcomer, in milliseconds. `coming`: steps that will stand in front of it and have not come to the capacity yet. */
  waitMs(coming: number): number {
    const { inUse, waiting, limit } = this.#capacity;
    const behind = inUse + waiting + coming - limit;
    return behind < 0 ? 0 : (behind + 1) * this.turnMs;
  }

  /** Permits that nobody has or is about to take. */
  free(coming: number): number {
    const { inUse, waiting, limit } = this.#capacity;
    return Math.max(0, limit - inUse - waiting - coming);
  }

  /** The longest wait after which an order is done in time all the same. */
  get roomMs(): number {
    // Beside the order's own hold the rest of one in front of it: permits that were taken together come back together.
    const rest = this.holdMs - this.turnMs;
    return Math.max(0, this.#timeoutMs * (1 - MARGIN_SHARE) - this.holdMs - rest);
  }
}
