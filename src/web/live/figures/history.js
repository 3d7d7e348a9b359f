/** @import { Tick } from "../../../admin/live/messages.ts" */
import { total } from "../total.js";

/** Five minutes, a point a second. */
export const SECONDS = 300;

// The kinds that have a colour of their own; the rest are "other".
const KINDS = ["ok", "payment_declined", "vendor_unavailable", "no_courier", "timeout", "canceled"];

/** What happened in the last five minutes: series by name, in arrays of fixed size. NaN where nothing is known. */
export class History {
  /** @type {Map<string, Float64Array>} */
  #series = new Map();
  /** The second of the latest tick; -1 before the first one. */
  #head = -1;
  #replacedBefore = -1;
  #first = -1;

  /** Seconds of which something is known. */
  get length() {
    return this.#first < 0 ? 0 : Math.min(SECONDS, this.#head - this.#first);
  }

  /** @param {Tick} tick */
  add(tick) {
    this.#advance(Math.floor(tick.now / 1_000));
    for (const kind of KINDS) this.#sum(`ended ${kind}`, 0);
    this.#sum("ended other", 0);
    for (const [kind, count] of Object.entries(tick.ended)) this.#sum(`ended ${KINDS.includes(kind) ? kind : "other"}`, count);
    this.#sum("refused", total(tick.refused));
    this.#sum("commits", tick.commits.count);
    this.#sum("requests", tick.commits.requests);
    if (tick.commits.count > 0) {
      this.#max("commit size", tick.commits.requests / tick.commits.count);
      this.#max("commit ms", tick.commits.max_ms);
    }
    const ended = total(tick.ended);
    this.#mean("order p50", tick.order_ms?.p50, ended);
    this.#max("order p99", tick.order_ms?.p99);
    this.#mean("cancel p50", tick.cancel_ms?.p50, ended - (tick.ended.ok ?? 0));
    this.#max("cancel p99", tick.cancel_ms?.p99);
    this.#max("in flight", tick.in_flight);
    this.#max("steps running", tick.running);
    this.#max("loop delay", tick.loop.delay_ms);
    this.#max("loop busy", tick.loop.utilization * 100);
    this.#last("threads", tick.threads.length);
    // The count is of the process: the first tick says nothing about the last second.
    if (this.#replacedBefore >= 0) this.#sum("replaced", Math.max(0, tick.replaced_total - this.#replacedBefore));
    this.#replacedBefore = tick.replaced_total;
    let compensations = 0;
    for (const step of /** @type {(keyof Tick["waiting"])[]} */ (Object.keys(tick.waiting))) {
      this.#max(`waiting ${step}`, tick.waiting[step]);
      this.#max(`in use ${step}`, tick.in_use[step]);
      this.#max(`circuit ${step}`, tick.circuits[step]);
      compensations += tick.backlog?.compensations[step].count ?? 0;
    }
    if (tick.backlog !== null) {
      this.#last("compensations", compensations);
      this.#last("events", tick.backlog.events.count);
      this.#last("dead letters", tick.backlog.dead_letters);
    }
  }

  /** The next tick is of another process, which counts from zero. */
  restarted() {
    this.#replacedBefore = -1;
  }

  /**
   * A series, the oldest second first, without the second that is not over yet.
   *
   * @param {string} name
   * @returns {Float64Array} of `SECONDS` values
   */
  of(name) {
    const points = this.#series.get(name);
    const values = new Float64Array(SECONDS).fill(Number.NaN);
    if (points === undefined) return values;
    for (let index = 0; index < SECONDS; index++) {
      const second = this.#head - SECONDS + index;
      if (second >= 0) values[index] = points[second % (SECONDS + 1)] ?? Number.NaN;
    }
    return values;
  }

  /** @param {number} second */
  #advance(second) {
    if (second === this.#head) return;
    const from = second < this.#head || second - this.#head > SECONDS ? second - SECONDS : this.#head + 1;
    for (const points of this.#series.values()) for (let at = from; at <= second; at++) points[indexOf(at)] = Number.NaN;
    if (this.#first < 0 || second < this.#head) this.#first = second;
    this.#head = second;
  }

  /** @param {string} name */
  #pointsOf(name) {
    let points = this.#series.get(name);
    if (points === undefined) {
      points = new Float64Array(SECONDS + 1).fill(Number.NaN);
      this.#series.set(name, points);
    }
    return points;
  }

  /** @param {string} name @param {number} value */
  #sum(name, value) {
    const points = this.#pointsOf(name);
    const at = indexOf(this.#head);
    points[at] = (Number.isNaN(points[at]) ? 0 : (points[at] ?? 0)) + value;
  }

  /** @param {string} name @param {number | undefined} value */
  #max(name, value) {
    if (value === undefined) return;
    const points = this.#pointsOf(name);
    const at = indexOf(this.#head);
    points[at] = Number.isNaN(points[at]) ? value : Math.max(points[at] ?? 0, value);
  }

  /**
   * The mean of a second's ticks, weighted by their orders: a tick of one slow order must not count as much as a tick of a hundred.
   *
   * @param {string} name
   * @param {number | undefined} value
   * @param {number} weight
   */
  #mean(name, value, weight) {
    if (value === undefined || weight === 0) return;
    const points = this.#pointsOf(name);
    const weights = this.#pointsOf(`${name}, weight`);
    const at = indexOf(this.#head);
    const before = Number.isNaN(weights[at]) ? 0 : (weights[at] ?? 0);
    const sum = before === 0 ? 0 : (points[at] ?? 0) * before;
    points[at] = (sum + value * weight) / (before + weight);
    weights[at] = before + weight;
  }

  /** @param {string} name @param {number} value */
  #last(name, value) {
    this.#pointsOf(name)[indexOf(this.#head)] = value;
  }
}

/** @param {number} second */
function indexOf(second) {
  const length = SECONDS + 1;
  return ((second % length) + length) % length;
}
