/** @import { EndedAs, Hello, SampledOrder, Tick } from "../../../admin/live/messages.ts" */
import { OpenBars } from "./open-bars.js";

export const WINDOW_MS = 10_000;
// What has scrolled out is kept for a moment, because the picture is a little behind.
const KEPT_MS = WINDOW_MS + 2_000;
// A waiting thread carries many steps at once; so many are drawn beside each other.
const WAITING_SUBS = 8;
// More than the ticks of ten seconds can bring.
const MAX_BARS = 6_000;
const MAX_CANCELS = 160;
// Threads beat ten times a second; one that has not for so long does not come to it.
export const STUCK_MS = 600;

/**
 * @typedef {object} Lane one place in a pool, where one thread follows another
 * @property {"main" | "journal" | "shared" | "exclusive"} pool
 * @property {number} subs
 * @property {Bar[][]} packed by sub-lane
 * @property {LaneThread[]} threads the last one is up unless it has an end
 * @property {Sample[]} samples
 *
 * @typedef {object} LaneThread
 * @property {number} id
 * @property {number} from
 * @property {number} [to]
 * @property {string} [reason]
 * @property {number} started steps
 *
 * @typedef {object} Sample
 * @property {number} at
 * @property {number} level of a thread the steps that run, of the main thread how busy it is, of the journal its commits
 * @property {number} other of a thread the age of its heartbeat, of the main thread the delay, of the journal requests
 *
 * @typedef {object} Bar
 * @property {Lane} lane
 * @property {number} sub
 * @property {number} from
 * @property {number} to of one that still runs the latest time at which it was reported
 * @property {number} step
 * @property {string} status also `running`, and `ended` while its order has not
 * @property {string | null} compensated
 * @property {number} thread
 * @property {{ readonly id: string, readonly attempt: number, readonly kind: EndedAs | "running" }} order
 *
 * @typedef {object} Cancel
 * @property {SampledOrder} order
 * @property {number} at
 * @property {Bar | undefined} cause the step that failed; without one the main thread canceled
 * @property {readonly Bar[]} stopped
 * @property {number} ms until the last of them had stopped
 * @property {number} seenMs when it came to this page
 */

/** What the lanes show: who ran what, in the last ten seconds. Bounded, whatever the load is. */
export class LaneModel {
  /** @type {Lane} */
  main = lane("main", 1);
  /** @type {Lane} */
  journal = lane("journal", 1);
  /** @type {Lane[]} */
  lanes = [this.main, this.journal];
  /** @type {Bar[]} */
  bars = [];
  /** Those of them whose orders have not ended. */
  open = new OpenBars();
  /** @type {Cancel[]} */
  cancels = [];
  /** @type {{ from: number, to: number | undefined, text: string }[]} */
  gaps = [];
  /** Orders of the last ten seconds. @type {{ at: number, shown: number, ended: number }[]} */
  #shares = [];
  /** @type {Map<number, Lane>} */
  #byThread = new Map();
  /** @type {number | undefined} */
  #pid;
  #lastNow = 0;

  /** @param {Hello} hello */
  hello({ pid, now }) {
    const restarted = this.#pid !== undefined && this.#pid !== pid;
    // Behind a new boot of the machine, or of another one under the same name, the clock begins anew.
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
      const text = restarted ? `process ${this.#pid} ended, ${pid} took over` : "no news";
      this.gaps.push({ from: this.#lastNow, to: now, text });
    }
    this.#pid = pid;
    this.#lastNow = now;
  }

  /** @param {Tick} tick */
  tick(tick) {
    const { now, loop, commits } = tick;
    this.#lastNow = now;
    this.main.samples.push({ at: now, level: loop.utilization, other: loop.delay_ms });
    this.journal.samples.push({ at: now, level: commits.count, other: commits.requests });
    this.#takeThreads(tick);
    const ended = Object.values(tick.ended).reduce((sum, count) => sum + count, 0);
    this.#shares.push({ at: now, shown: tick.orders.length, ended });
    for (const bar of this.open.grow(tick, this.#byThread)) this.#addBar(bar);
    for (const order of tick.orders) this.#addOrder(order);
    this.#drop(now - KEPT_MS);
  }

  /** How many orders ended in the last ten seconds, and how many of them are drawn. */
  shares() {
    const from = this.#lastNow - WINDOW_MS;
    const recent = this.#shares.filter(({ at }) => at > from);
    return {
      shown: recent.reduce((sum, { shown }) => sum + shown, 0),
      ended: recent.reduce((sum, { ended }) => sum + ended, 0),
    };
  }

  /** @param {Tick} tick */
  #takeThreads({ now, threads, replaced }) {
    const up = new Set(threads.map(([id]) => id));
    for (const [id, lane] of this.#byThread) {
      const thread = lane.threads.find((one) => one.id === id && one.reason !== "process ended");
      if (thread === undefined) continue;
      const why = replaced.find((one) => one.id === id);
      if (why !== undefined) Object.assign(thread, { to: why.at, reason: why.reason });
      else if (!up.has(id)) thread.to ??= now;
    }
    for (const [id, pool, running, started, beatMs] of threads) {
      const lane = this.#byThread.get(id) ?? this.#place(id, pool, now);
      lane.samples.push({ at: now, level: running, other: beatMs });
      const thread = lane.threads.at(-1);
      if (thread?.id === id) thread.started = started;
    }
  }

  /**
   * A new thread takes the place of one that is gone, in its pool.
   *
   * @param {number} id
   * @param {string} pool
   * @param {number} now
   */
  #place(id, pool, now) {
    const isFree = (/** @type {Lane} */ one) => one.pool === pool && one.threads.at(-1)?.to !== undefined;
    let place = this.lanes.find(isFree);
    if (place === undefined) {
      place = pool === "exclusive" ? lane("exclusive", 1) : lane("shared", WAITING_SUBS);
      const next = this.lanes.findIndex((one) => one.pool === "exclusive");
      if (pool === "exclusive" || next < 0) this.lanes.push(place);
      else this.lanes.splice(next, 0, place);
    }
    place.threads.push({ id, from: now, started: 0 });
    this.#byThread.set(id, place);
    return place;
  }

  /** @param {SampledOrder} order */
  #addOrder(order) {
    const bars = order.steps.map(([status, thread, started, ended, compensated], step) => {
      const place = thread === null ? undefined : this.#byThread.get(thread);
      if (thread === null || place === undefined) return undefined;
      // Of a step on a thread that was lost only its end is known.
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
    bar.sub = pack(bar.lane, bar);
    this.bars.push(bar);
    return bar;
  }

  /** @param {number} before */
  #drop(before) {
    this.open.drop(before);
    this.bars = this.bars.filter(({ to }) => to > before).slice(-MAX_BARS);
    this.cancels = this.cancels.filter(({ at }) => at > before).slice(-MAX_CANCELS);
    this.gaps = this.gaps.filter(({ to }) => to === undefined || to > before).slice(-20);
    this.#shares = this.#shares.filter(({ at }) => at > before);
    for (const one of this.lanes) {
      one.samples = one.samples.filter(({ at }) => at > before);
      for (const [sub, bars] of one.packed.entries()) one.packed[sub] = bars.filter(({ to }) => to > before).slice(-MAX_BARS);
      // The last one is kept, so that a lane says who was there.
      one.threads = one.threads.filter(({ id, to }, index) => {
        const kept = to === undefined || to > before || index === one.threads.length - 1;
        if (!kept && this.#byThread.get(id) === one) this.#byThread.delete(id);
        return kept;
      });
    }
    // A thread that was started on demand and not replaced leaves no empty lane behind.
    this.lanes = this.lanes.filter(({ threads }) => threads.length === 0 || (threads.at(-1)?.to ?? Number.POSITIVE_INFINITY) > before);
  }

  #forget() {
    this.open.end();
    this.bars = [];
    this.cancels = [];
    this.gaps = [];
    this.#shares = [];
    this.#byThread.clear();
    this.main = lane("main", 1);
    this.journal = lane("journal", 1);
    this.lanes = [this.main, this.journal];
    this.#lastNow = 0;
  }
}

/**
 * @param {Lane["pool"]} pool
 * @param {number} subs
 * @returns {Lane}
 */
function lane(pool, subs) {
  return { pool, subs, packed: Array.from({ length: subs }, () => []), threads: [], samples: [] };
}

/**
 * The first sub-lane with room, or under load the one where it covers least.
 *
 * @param {Lane} place
 * @param {Bar} bar
 */
function pack(place, bar) {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [sub, bars] of place.packed.entries()) {
    let covered = 0;
    for (const other of bars) covered += Math.max(0, Math.min(bar.to, other.to) - Math.max(bar.from, other.from));
    if (covered < least) [best, least] = [sub, covered];
    if (covered === 0) break;
  }
  place.packed[best]?.push(bar);
  return best;
}
