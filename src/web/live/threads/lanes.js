/** @import { Hit } from "./bars.js" */
/** @import { Bar } from "./lane.js" */
/** @import { ServerClock } from "../server-clock.js" */
import { duration, spoken, timeOfDay } from "../words.js";
import { drawBars } from "./bars.js";
import { drawCancels } from "./cancel-lines.js";
import { drawAxis, drawTitle } from "./captions.js";
import { drawDeaths, drawGaps } from "./interruptions.js";
import { LaneModel, WINDOW_MS } from "./lane-model.js";
import { drawLoad } from "./load.js";
import { viewOf } from "./view.js";

// Ticks come every 250 ms. The picture is this far behind the server, so that its right edge has been reported.
const BEHIND_MS = 320;
// As a share of its width. A guess: a caption takes less.
const RESTS_AFTER = 0.48;

/** Draws the lanes of a model, and says which bar is at a place of the picture. */
export class Lanes {
  /** @type {HTMLCanvasElement} */
  #canvas;
  /** @type {ServerClock} */
  #clock;
  /** @type {Hit[]} */
  #hits = [];
  /** While false, as when the connection is lost, the picture stands still. */
  isLive = false;
  /** While somebody points at a bar, it does not move away. */
  isPointedAt = false;
  /** Milliseconds from the left edge to the right one. */
  span = WINDOW_MS;
  /** What was there when the picture was paused. @type {Pick<LaneModel, "lanes" | "bars" | "cancels" | "gaps"> & { until: number } | undefined} */
  #paused;
  model = new LaneModel();
  /** @type {readonly string[]} */
  steps = [];
  #edge = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {ServerClock} clock
   */
  constructor(canvas, clock) {
    this.#canvas = canvas;
    this.#clock = clock;
  }

  get isPaused() {
    return this.#paused !== undefined;
  }

  /** @param {boolean} isPaused */
  pause(isPaused) {
    if (isPaused === this.isPaused) return;
    const { lanes, bars, cancels, gaps } = this.model;
    // A copy: the model lets go of what is older than its window.
    this.#paused = isPaused ? structuredClone({ lanes, bars, cancels, gaps, until: this.#clock.now() }) : undefined;
  }

  /** Moves a paused picture by a tenth of its width. @param {1 | -1} direction */
  step(direction) {
    // Of what came later it knows nothing, which would look as if nothing had run.
    this.#edge = Math.min(this.#edge + (direction * this.span) / 10, this.#paused?.until ?? this.#clock.now());
  }

  draw() {
    const newest = this.#clock.now() - BEHIND_MS;
    const moves = this.isLive && !this.isPaused && !this.isPointedAt;
    // While nothing runs it rests, so that the last order stays to be looked at, with room for its captions.
    if (moves) this.#edge = Math.min(newest, this.model.active + RESTS_AFTER * this.span);
    const { lanes, bars, cancels, gaps } = this.#paused ?? this.model;
    const view = viewOf(this.#canvas, { lanes, bars }, { edge: this.#edge, span: this.span, steps: this.steps });
    const { context, placed, left, right, height } = view;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    for (const one of placed) drawLoad(view, one);
    this.#hits = drawBars(view, bars);
    view.bars.push(...this.#hits);
    for (const one of placed) drawDeaths(view, one);
    drawCancels(view, cancels);
    drawGaps(view, gaps);
    context.restore();
    for (const one of placed) drawTitle(view, one, this.isPaused);
    drawAxis(view, this.isLive && newest - this.#edge < 1_000 ? "now" : timeOfDay(this.#clock.date(this.#edge)));
  }

  /**
   * The step drawn at a place of the canvas, in CSS pixels.
   *
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    // The bar drawn last is on top.
    return this.#hits.findLast(({ left, right, top, bottom }) => x >= left - 2 && x <= right + 2 && y >= top && y <= bottom)?.bar;
  }

  /** @param {Bar} bar */
  describe({ order, step, status, from, to, thread, compensated }) {
    const words = [
      `${this.steps[step] ?? ""}: ${status}${compensated === null ? "" : `, compensation ${compensated}`}`,
      `${status === "running" ? "so far " : ""}${duration(to - from)} on thread #${thread}`,
      `order ${order.id}, attempt ${order.attempt}: ${spoken(order.kind)}`,
    ];
    return words.join(" · ");
  }
}
