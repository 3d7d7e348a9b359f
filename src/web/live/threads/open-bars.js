/** @import { SampledOrder, Tick } from "../../../admin/live/messages.ts" */
/** @import { Bar, Lane } from "./lane-model.js" */

/** Bars of steps that were reported while they ran. Each grows until its step has ended, and is what it is once its order has. */
export class OpenBars {
  /** By order, attempt and step. @type {Map<string, Bar>} */
  #bars = new Map();

  /** Those whose steps still run, the oldest first. @returns {Bar[]} */
  get running() {
    return [...this.#bars.values()].filter(({ status }) => status === "running").sort((a, b) => a.from - b.from);
  }

  /**
   * Lets the bars of steps that still run grow.
   *
   * @param {Tick} tick
   * @param {ReadonlyMap<number, Lane>} byThread
   * @returns {Bar[]} new ones, which have no sub-lane yet
   */
  grow({ now, long_steps }, byThread) {
    /** @type {Bar[]} */
    const made = [];
    const reported = new Set();
    for (const [id, attempt, step, thread, since] of long_steps) {
      const lane = byThread.get(thread);
      if (lane === undefined) continue;
      const key = keyOf(id, attempt, step);
      reported.add(key);
      const known = this.#bars.get(key);
      // One that was lost with its thread runs again on another.
      if (known?.thread === thread) {
        known.to = now;
        continue;
      }
      const order = { id, attempt, kind: /** @type {const} */ ("running") };
      const bar = { lane, sub: 0, from: since, to: now, step, status: /** @type {const} */ ("running"), compensated: null, thread, order };
      this.#bars.set(key, bar);
      made.push(bar);
    }
    // How these ended is reported with their orders, when all the steps of those have.
    for (const [key, bar] of this.#bars) if (!reported.has(key) && bar.status === "running") bar.status = "ended";
    return made;
  }

  /**
   * The bar of a step whose order has ended; it is open no longer.
   *
   * @param {SampledOrder} order
   * @param {number} step
   * @param {number} thread
   */
  close({ id, attempt }, step, thread) {
    const key = keyOf(id, attempt, step);
    const bar = this.#bars.get(key);
    this.#bars.delete(key);
    return bar?.thread === thread ? bar : undefined;
  }

  /** Their process is gone. */
  end() {
    for (const bar of this.#bars.values()) bar.status = "ended";
    this.#bars.clear();
  }

  /** @param {number} before */
  drop(before) {
    for (const [key, { to }] of this.#bars) if (to <= before) this.#bars.delete(key);
  }
}

/** @param {string} id @param {number} attempt @param {number} step */
function keyOf(id, attempt, step) {
  return `${step} ${attempt} ${id}`;
}
