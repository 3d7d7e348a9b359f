// So many that a mean is known well enough although holds vary, and a changed level soon.
const SAMPLES = 32;

// What to expect before the first hold has ended, of the patience. About what the simulated providers take.
const ASSUMED_SHARE = 1 / 20;

/**
 * How long permits of one kind are held, from the last holds. Times that turn others away must not be believed for ever: where somebody was
 * turned away (`doubt`) and no hold has ended for `patienceMs`, about the longest that anybody waits, all times halve with each further
 * `patienceMs`. Reads no clock: each `nowMs` is of the same one.
 */
export class HoldTime {
  readonly #patienceMs: number;
  readonly #recent: number[] = [];
  #oldest = 0;
  #doubtedSinceMs: number | undefined;
  /** Who waits for a permit of this kind. `Capacity` counts. */
  waiting = 0;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  get known(): number {
    return this.#recent.length;
  }

  /** Whether somebody was turned away because of these times and no hold has ended since. */
  get isDoubted(): boolean {
    return this.#doubtedSinceMs !== undefined;
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
    const times = this.#times(nowMs);
    const meanMs = mean(times);
    return meanMs + Math.sqrt(mean(times.map((ms) => (ms - meanMs) ** 2)) / times.length);
  }

  /** 0 before the first. */
  shortestMs(nowMs: number): number {
    return this.known === 0 ? 0 : Math.min(...this.#times(nowMs));
  }

  /** Whether a hold of this age has lasted longer than all recent ones. */
  isExceededBy(ageMs: number, nowMs: number): boolean {
    return ageMs > Math.max(...this.#times(nowMs));
  }

  /** The mean rest of the recent holds that lasted longer (mean residual life). A hold that exceeds them all may last as long again. */
  restMs(ageMs: number, nowMs: number): number {
    const longer = this.#times(nowMs).filter((ms) => ms >= ageMs);
    return longer.length === 0 ? ageMs : mean(longer) - ageMs;
  }

  /** The recent holds, as far as they are believed. */
  #times(nowMs: number): readonly number[] {
    const times = this.known === 0 ? [this.#patienceMs * ASSUMED_SHARE] : this.#recent;
    const halfLives = this.#doubtedSinceMs === undefined ? 0 : (nowMs - this.#doubtedSinceMs) / this.#patienceMs - 1;
    return halfLives > 0 ? times.map((ms) => ms * 0.5 ** halfLives) : times;
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
