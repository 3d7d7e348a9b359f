import { monotonicMs } from "../clock.ts";

// Reading the clock costs more than the rest of a grant. While nobody waits, one grant in four is enough.
const MEASURED_GRANTS = 4;
// A changed level is learned within some 20 samples, and mixed holds of one level do not swing the average.
const SHARE = 1 / 16;
// The shortest hold is a promise ("surely not less"), so it rises slowly.
const RISE = 1 / 64;

/** The start of a hold that is not measured. */
export const UNMEASURED = -1;

/** How long the permits of one capacity are held, in milliseconds: a moving average, and about the shortest of the recent holds. */
export class HoldTime {
  readonly #nowMs: () => number;
  #measuredSinceMs = Number.NEGATIVE_INFINITY;
  #grants = 0;
  #firstGrantMs = 0;
  #samples = 0;
  #averageMs = 0;
  #shortestMs = 0;

  constructor(nowMs = monotonicMs) {
    this.#nowMs = nowMs;
  }

  /** Measures no hold until `ready` has settled: until then a holder waits for what its permit stands for. */
  async measureFrom(ready: Promise<unknown>): Promise<void> {
    this.#measuredSinceMs = Number.POSITIVE_INFINITY;
    // Whoever gave the promise sees its failure.
    await ready.catch(() => {});
    this.#measuredSinceMs = this.#nowMs();
  }

  /** Undefined before the first sample. */
  get averageMs(): number | undefined {
    return this.#samples === 0 ? undefined : this.#averageMs;
  }

  /** 0 before the first sample. */
  get shortestMs(): number {
    return this.#shortestMs;
  }

  /** How long the very first permit has been held, while the average is not known; 0 before it was granted. */
  get firstHeldForMs(): number {
    return this.#grants === 0 ? 0 : Math.max(0, this.#nowMs() - Math.max(this.#firstGrantMs, this.#measuredSinceMs));
  }

  /** How many permits have been granted without a wait. */
  get grants(): number {
    return this.#grants;
  }

  /** A permit is granted without a wait. Returns when, or `UNMEASURED`. */
  granted(): number {
    const sinceMs = this.#grants % MEASURED_GRANTS === 0 ? this.#nowMs() : UNMEASURED;
    if (this.#grants++ === 0) this.#firstGrantMs = sinceMs;
    return sinceMs;
  }

  /** A permit comes back. `sinceMs`: what `granted` returned, or when a waiter got it. */
  released(sinceMs: number, nowMs: number): void {
    const fromMs = Math.max(sinceMs, this.#measuredSinceMs);
    if (sinceMs !== UNMEASURED && fromMs <= nowMs) this.add(nowMs - fromMs);
  }

  add(heldMs: number): void {
    // A plain mean at first, so that the very first hold does not count for more than the others.
    if (this.#samples < 1 / SHARE) this.#samples++;
    this.#averageMs += (heldMs - this.#averageMs) / this.#samples;
    if (this.#samples === 1 || heldMs < this.#shortestMs) this.#shortestMs = heldMs;
    else this.#shortestMs += (heldMs - this.#shortestMs) * RISE;
  }
}
