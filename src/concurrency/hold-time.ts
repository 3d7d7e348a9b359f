// A sixteenth a sample: a level that has changed is learned within some 20 samples, and mixed holds of one level do not swing it.
const SHARE = 1 / 16;
// The shortest hold is a promise ("surely not less"), so it rises slowly.
const RISE = 1 / 64;

/** How long permits are held: a moving average, and about the shortest hold of late. Milliseconds. */
export class HoldTime {
  #samples = 0;
  #averageMs = 0;
  #shortestMs = 0;

  /** Undefined before the first sample. */
  get averageMs(): number | undefined {
    return this.#samples === 0 ? undefined : this.#averageMs;
  }

  /** 0 before the first sample. */
  get shortestMs(): number {
    return this.#shortestMs;
  }

  add(heldMs: number): void {
    // A plain mean at first, so that the very first hold does not count for more than the others.
    if (this.#samples < 1 / SHARE) this.#samples++;
    this.#averageMs += (heldMs - this.#averageMs) / this.#samples;
    if (this.#samples === 1 || heldMs < this.#shortestMs) this.#shortestMs = heldMs;
    else this.#shortestMs += (heldMs - this.#shortestMs) * RISE;
  }
}
