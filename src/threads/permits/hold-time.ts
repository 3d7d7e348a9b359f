// So many that a mean is known well enough although holds vary, and a changed level soon.
const SAMPLES = 32;

/**
 * How long permits of one kind are held, from the last holds. `nowMs` is of one clock. What keeps others away must not be believed for
 * ever: where somebody was turned away and no hold has ended for a half-life, all times count for half after each further one. Pure.
 */
export class HoldTime {
  readonly #assumedMs: number;
  readonly #halfLifeMs: number;
  readonly #recent: number[] = [];
  #oldest = 0;
  #doubtedSinceMs: number | undefined;
  waiting = 0;

  /** `assumedMs`: what to expect before the first hold has ended. */
  constructor(assumedMs: number, halfLifeMs: number) {
    this.#assumedMs = assumedMs;
    this.#halfLifeMs = halfLifeMs;
  }

  get known(): number {
    return this.#recent.length;
  }

  /** A hold has ended. One that was cut off counts as long as those that lasted longer have taken on average (Efron 1967). */
  add(heldMs: number, cutOff = false): void {
    const longer = cutOff ? this.#recent.filter((ms) => ms > heldMs) : [];
    this.#recent[this.#oldest] = longer.length === 0 ? heldMs : mean(longer);
    this.#oldest = (this.#oldest + 1) % SAMPLES;
    this.#doubtedSinceMs = undefined;
  }

  /** Somebody is turned away because of these times. */
  doubt(nowMs: number): void {
    this.#doubtedSinceMs ??= nowMs;
  }

  /** What the next hold takes: the mean and its standard error, so that who relies on few holds errs on the safe side. */
  expectedMs(nowMs: number): number {
    if (this.#recent.length === 0) return this.#belief(nowMs) * this.#assumedMs;
    const meanMs = mean(this.#recent);
    const variance = this.#recent.reduce((sum, ms) => sum + (ms - meanMs) ** 2, 0) / this.#recent.length;
    return this.#belief(nowMs) * (meanMs + Math.sqrt(variance / this.#recent.length));
  }

  /** 0 before the first. */
  shortestMs(nowMs: number): number {
    return this.#recent.length === 0 ? 0 : this.#belief(nowMs) * Math.min(...this.#recent);
  }

  /** Whether a hold of this age has lasted longer than all recent ones. */
  isExceededBy(ageMs: number, nowMs: number): boolean {
    return ageMs > this.#belief(nowMs) * (this.#recent.length === 0 ? this.#assumedMs : Math.max(...this.#recent));
  }

  /** The mean rest of the recent holds that lasted longer (mean residual life). A hold that exceeds them all may last as long again. */
  restMs(ageMs: number, nowMs: number): number {
    if (this.isExceededBy(ageMs, nowMs)) return ageMs;
    const belief = this.#belief(nowMs);
    let sumMs = 0;
    let longer = 0;
    for (const ms of this.#recent) {
      if (ms * belief < ageMs) continue;
      sumMs += ms * belief;
      longer++;
    }
    return (longer === 0 ? this.#assumedMs * belief : sumMs / longer) - ageMs;
  }

  #belief(nowMs: number): number {
    return this.#doubtedSinceMs === undefined ? 1 : 0.5 ** Math.max(0, (nowMs - this.#doubtedSinceMs) / this.#halfLifeMs - 1);
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
