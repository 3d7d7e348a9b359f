/** @import { Hello, SampledOrder, Tick } from "../../../admin/live/messages.ts" */
/** @import { Bar, Lane, Sample } from "./lane.js" */
import { total } from "../total.js";
import { newLane, pack } from "./lane.js";
import { OpenBars } from "./open-bars.js";

export const WINDOW_MS = 10_000;
// The picture is a little behind, so what has left the window is still drawn for a moment.
const KEPT_MS = WINDOW_MS + 2_000;
// A thread of the shared pool carries many steps at once. Eight bars beside each other are still thick enough to point at.
const WAITING_SUBS = 8;
// The ticks of ten seconds bring fewer.
const MAX_BARS = 6_000;
const MAX_CANCELS = 160;
const MAX_GAPS = 20;
// Threads beat ten times a second. A thread that missed six beats does not return to its event loop.
export const STUCK_MS = 600;

/**
 * @typedef {object} Cancel
 * @property {SampledOrder} order
 * @property {number} at
 * @property {Bar | undefined} cause the step that failed; undefined where the main thread canceled
 * @property {readonly Bar[]} stopped
 * @property {number} ms until the last of them had stopped
 * @property {number} seenMs when this page received it, on the page's clock
 *
 * @typedef {{ from: number, to: number, text: string }} Gap a time of which the page knows nothing
 */

/** What each thread ran in the last ten seconds. Its size is bounded, whatever the load is. */
export class LaneModel {
  /** @type {Lane} */
  main = newLane("main");
  /** @type {Lane} */
  journal = newLane("journal");
  /** @type {Lane[]} */
  lanes = [this.main, this.journal];
  /** @type {Bar[]} */
  bars = [];
  /** The bars whose orders have not ended. */
  open = new OpenBars();
  /** @type {Cancel[]} */
  cancels = [];
  /** @type {Gap[]} */
  gaps = [];
  /** Orders of the last ten seconds. @type {{ at: number, shown: number, ended: number, refused: number }[]} */
  #shares = [];
  /** @type {Map<number, Lane>} */
  #byThread = new Map();
  /** @type {number | undefined} */
  #pid;
  #lastNow = 0;
  /** The latest moment at which anything ran. What happened before it is kept until something runs again. */
  active = 0;

  /** @param {Hello} hello */
  hello({ pid, now }) {
    const restarted = this.#pid !== undefined && this.#pid !== pid;
    // After a boot of the machine, and on another machine under the same name, the clock begins anew.
    if (now < this.#lastNow) this.#forget();
    if (restarted) {
      for (const { threads } of this.lanes) {
        const last = threads.at(-1);
        if (last !== undefined && last.to === undefined) Object.assign(last, { to: this.#lastNow, reason: "process ended" });
      }
      this.#byThread.clear();
      this.open.end();
    }
    if (this.#lastNow > 0 && now > this.#lastNow) {
      const text = restarted ? `process ${this.#pid} ended → ${pid}` : "no news";
      this.gaps.push({ from: this.#lastNow, to: now, text });
    }
    this.#pid = pid;
    this.#lastNow = now;
    this.active = now;
  }

  /** @param {Tick} tick */
  tick(tick) {
    const { now, loop, commits, orders, long_steps, replaced, in_flight } = tick;
    this.#lastNow = now;
    this.active = Math.max(this.active, ...orders.map(({ stored }) => stored));
    if (long_steps.length + replaced.length + in_flight > 0) this.active = now;
    this.#addSample(this.main, { at: now, level: loop.utilization, other: loop.delay_ms });
    this.#addSample(this.journal, { at: now, level: commits.count, other: commits.requests });
    this.#takeThreads(tick);
    this.#shares.push({ at: now, shown: orders.length, ended: total(tick.ended), refused: total(tick.refused) });
    for (const bar of this.open.grow(tick, this.#byThread)) this.#addBar(bar);
    for (const order of orders) this.#addOrder(order);
    this.#shares = this.#shares.filter(({ at }) => at > now - WINDOW_MS);
    this.#drop(Math.min(now, this.active) - KEPT_MS);
  }

  /** Of the last ten seconds: how many orders ended, how many of those are drawn, and how many were refused. */
  shares() {
    const sum = { shown: 0, ended: 0, refused: 0 };
    for (const { shown, ended, refused } of this.#shares) {
      sum.shown += shown;
      sum.ended += ended;
      sum.refused += refused;
    }
    return sum;
  }

  /** @param {Tick} tick */
  #takeThreads({ now, threads, replaced }) {
    const up = new Set(threads.map(([id]) => id));
    for (const [id, lane] of this.#byThread) {
      const thread = lane.threads.find((one) => one.id === id && one.reason !== "process ended");
      if (thread === undefined) continue;
      const why = replaced.find((one) => one.id === id);
      if (why !== undefined) {
        Object.assign(thread, { to: why.at, reason: why.reason });
        stickUntil(lane, why.at);
      } else if (!up.has(id)) thread.to ??= now;
    }
    for (const [id, pool, running, , heartbeatAgeMs] of threads) {
      const lane = this.#byThread.get(id) ?? this.#place(id, pool, now);
      this.#addSample(lane, { at: now, level: running, other: heartbeatAgeMs });
    }
  }

  /** While nothing runs the picture rests, and only the latest sample is of use. @param {Lane} lane @param {Sample} sample */
  #addSample({ samples }, sample) {
    if (sample.at - this.active > WINDOW_MS) samples.pop();
    samples.push(sample);
  }

  /**
   * Gives a new thread the lane of a thread of its pool that is gone, or a lane of its own.
   *
   * @param {number} id
   * @param {string} pool
   * @param {number} now
   */
  #place(id, pool, now) {
    const isFree = (/** @type {Lane} */ one) => one.pool === pool && one.threads.at(-1)?.to !== undefined;
    let place = this.lanes.find(isFree);
    if (place === undefined) {
      place = pool === "exclusive" ? newLane("exclusive") : newLane("shared", WAITING_SUBS);
      const next = this.lanes.findIndex((one) => one.pool === "exclusive");
      if (pool === "exclusive" || next < 0) this.lanes.push(place);
      else this.lanes.splice(next, 0, place);
    }
    place.threads.push({ id, from: now });
    this.active = now;
    this.#byThread.set(id, place);
    return place;
  }

  /** @param {SampledOrder} order */
  #addOrder(order) {
    const bars = order.steps.map(([status, thread, started, ended, compensated], step) => {
      const place = thread === null ? undefined : this.#byThread.get(thread);
      if (thread === null || place === undefined) return undefined;
      // A step on a lost thread has no start of its own.
      const known = { from: started ?? order.started, to: ended, status, compensated, order };
      const open = this.open.close(order, step, thread);
      return open === undefined ? this.#addBar({ lane: place, sub: 0, step, thread, ...known }) : Object.assign(open, known);
    });
    if (order.canceled === undefined) return;
    const [why, at] = order.canceled;
    const stopped = bars.filter((bar) => bar !== undefined).filter(({ status }) => status === "canceled");
    if (stopped.length === 0) return;
    const failed = bars.filter((bar) => bar !== undefined).filter(({ status }) => status === "failed" || status === "lost");
    const cause = why === "sibling_failed" ? failed.sort((a, b) => a.to - b.to)[0] : undefined;
    const ms = Math.max(0, ...stopped.map(({ to }) => to - at));
    this.cancels.push({ order, at, cause, stopped, ms, seenMs: performance.now() });
  }

  /** @param {Bar} bar */
  #addBar(bar) {
    pack(bar);
    this.bars.push(bar);
    return bar;
  }

  /** @param {number} before */
  #drop(before) {
    this.open.drop(before);
    this.bars = this.bars.filter(({ to }) => to > before).slice(-MAX_BARS);
    this.cancels = this.cancels.filter(({ at }) => at > before).slice(-MAX_CANCELS);
    this.gaps = this.gaps.filter(({ to }) => to > before).slice(-MAX_GAPS);
    for (const one of this.lanes) {
      one.samples = one.samples.filter(({ at }) => at > before);
      for (const [sub, bars] of one.packed.entries()) one.packed[sub] = bars.filter(({ to }) => to > before).slice(-MAX_BARS);
      // The last thread stays, so that the lane has a title.
      one.threads = one.threads.filter(({ id, to }, index) => {
        const kept = to === undefined || to > before || index === one.threads.length - 1;
        if (!kept && this.#byThread.get(id) === one) this.#byThread.delete(id);
        return kept;
      });
    }
    // A thread that was started on demand may end without a successor; its lane goes.
    this.lanes = this.lanes.filter(({ threads }) => threads.length === 0 || (threads.at(-1)?.to ?? Number.POSITIVE_INFINITY) > before);
  }

  #forget() {
    this.open.end();
    this.bars = [];
    this.cancels = [];
    this.gaps = [];
    this.#shares = [];
    this.#byThread.clear();
    this.main = newLane("main");
    this.journal = newLane("journal");
    this.lanes = [this.main, this.journal];
    this.#lastNow = 0;
  }
}

/** A thread that is stuck stays so until it is replaced, and the last tick that had it may be a while before. @param {Lane} lane @param {number} at */
function stickUntil({ samples }, at) {
  const last = samples.at(-1);
  if (last === undefined || last.other <= STUCK_MS || last.at >= at) return;
  samples.push({ at, level: last.level, other: last.other + at - last.at });
}
