import { DEFAULT_URGENCY, URGENCIES } from "../threads/index.ts";

// Of an order's deadline. An order of every urgency is admitted this often, however many more urgent ones there are.
const BOUND_SHARE = 1 / 4;
// Of an order's deadline. An urgency that had no request for so long does not starve.
const FRESH_SHARE = 1 / 2;
const LEAST = URGENCIES - 1;

/**
 * Keeps a flood of urgent orders from starving all others. If every order of an urgency has been refused for a while, the next one counts as
 * of the usual urgency at least. Until it comes, all others count as of the least urgency: the queue gets shorter but never empty, so
 * throughput does not fall. Pure; times are of one clock, in milliseconds.
 */
export class Starvation {
  readonly #boundMs: number;
  readonly #freshMs: number;
  /** By urgency: since when all orders were refused (0: the last one was admitted), and when the last was refused. */
  readonly #sinceMs = new Float64Array(URGENCIES);
  readonly #lastMs = new Float64Array(URGENCIES);
  #starving = 0;

  /** `timeoutMs`: the deadline of an order. */
  constructor(timeoutMs: number) {
    this.#boundMs = timeoutMs * BOUND_SHARE;
    this.#freshMs = timeoutMs * FRESH_SHARE;
  }

  /** Whether the last order of any urgency was refused. If not, `judgedAs` need not be asked. */
  get isPossible(): boolean {
    return this.#starving > 0;
  }

  admitted(urgency: number): void {
    if (this.#sinceMs[urgency] === 0) return;
    this.#sinceMs[urgency] = 0;
    this.#starving--;
  }

  refused(urgency: number, nowMs: number): void {
    this.#lastMs[urgency] = nowMs;
    if (this.#sinceMs[urgency] !== 0) return;
    this.#sinceMs[urgency] = nowMs;
    this.#starving++;
  }

  /** The urgency by which an order is to be judged now. */
  judgedAs(urgency: number, nowMs: number): number {
    if (this.#isStarved(urgency, nowMs)) return Math.min(urgency, DEFAULT_URGENCY);
    for (let other = 0; other < URGENCIES; other++) if (this.#isStarved(other, nowMs)) return LEAST;
    return urgency;
  }

  #isStarved(urgency: number, nowMs: number): boolean {
    const sinceMs = this.#sinceMs[urgency] as number;
    return sinceMs !== 0 && nowMs - sinceMs >= this.#boundMs && nowMs - (this.#lastMs[urgency] as number) < this.#freshMs;
  }
}
