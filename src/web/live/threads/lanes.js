/** @import { Hit } from "./bars.js" */
/** @import { Bar } from "./lane.js" */
/** @import { ServerClock } from "../server-clock.js" */
import { duration, spoken } from "../words.js";
import { drawBars } from "./bars.js";
import { drawCancels } from "./cancel-lines.js";
import { drawAxis, drawTitle } from "./captions.js";
import { drawDeaths, drawGaps } from "./interruptions.js";
import { LaneModel } from "./lane-model.js";
import { drawLoad } from "./load.js";
import { viewOf } from "./view.js";

// Ticks come every 250 ms. The picture is this far behind the server, so that its right edge has been reported.
const BEHIND_MS = 320;

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

  draw() {
    if (this.isLive) this.#edge = this.#clock.now() - BEHIND_MS;
    const { lanes, bars, cancels, gaps } = this.model;
    const view = viewOf(this.#canvas, lanes, this.#edge);
    const { context, placed, left, right, height } = view;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    for (const one of placed) drawLoad(view, one);
    this.#hits = drawBars(view, bars);
    for (const one of placed) drawDeaths(view, one);
    drawCancels(view, cancels);
    drawGaps(view, gaps);
    context.restore();
    for (const one of placed) drawTitle(view, one);
    drawAxis(view);
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
