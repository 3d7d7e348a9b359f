/** @import { SampledOrder, Tick } from "../../../admin/live/messages.ts" */
/** @import { Bar, Lane } from "./lane.js" */

/** Bars of steps that the server reported while they ran. A bar grows until its step has ended, and gets its status when its order has. */
export class OpenBars {
  /** By order, attempt and step. @type {Map<string, Bar>} */
  #bars = new Map();

  /** The bars of steps that still run, the oldest first. @returns {Bar[]} */
  get running() {
    return [...this.#bars.values()].filter(({ status }) => status === "running").sort((a, b) => a.from - b.from);
  }

  /**
   * Lets the bars of steps that still run grow, and begins new ones.
   *
   * @param {Tick} tick
   * @param {ReadonlyMap<number, Lane>} byThread
   * @returns {Bar[]} the new bars, which have no sub-lane yet
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
      // A step that was lost with its thread runs again on another.
      if (known?.thread === thread) {
        known.to = now;
        continue;
      }
      const order = { id, attempt, kind: /** @type {const} */ ("running") };
      const bar = { lane, sub: 0, from: since, to: now, step, status: /** @type {const} */ ("running"), compensated: null, thread, order };
      this.#bars.set(key, bar);
      made.push(bar);
    }
    // The server reports how a step ended when all steps of its order have.
    for (const [key, bar] of this.#bars) if (!reported.has(key) && bar.status === "running") bar.status = "ended";
    return made;
  }

  /**
   * Takes out the bar of a step whose order has ended.
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

  /** The process is gone, and all steps with it. */
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
