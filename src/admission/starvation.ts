import { DEFAULT_URGENCY, URGENCIES } from "../concurrency/urgency.ts";

// Of an order's deadline. Orders of every urgency get in this often, however many more urgent ones there are.
const BOUND_SHARE = 1 / 4;
// Of an order's deadline: when nobody of that urgency has asked for so long, there is nobody to wait for.
const FRESH_SHARE = 1 / 2;
const LEAST = URGENCIES - 1;

/**
 * Keeps a flood of urgent orders from shutting all others out. Where every order of an urgency has been refused for a while, the next
 * one counts as of the usual urgency at least, and until it comes all others count as of the least: the line gets shorter by that
 * much, never empty, so it costs no throughput. Pure; times are of one clock, in milliseconds.
 */
export class Starvation {
  readonly #boundMs: number;
  readonly #freshMs: number;
  /** By urgency: since when all were refused, and when the last of them was. 0: the last one was admitted. */
  readonly #sinceMs = new Float64Array(URGENCIES);
  readonly #lastMs = new Float64Array(URGENCIES);
  #starving = 0;

  /** `timeoutMs`: the deadline of an order. */
  constructor(timeoutMs: number) {
    this.#boundMs = timeoutMs * BOUND_SHARE;
    this.#freshMs = timeoutMs * FRESH_SHARE;
  }

  /** Whether any urgency has been refused since it was last admitted: otherwise there is nothing to ask. */
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
