/** @import { Bar, Cancel, Lane } from "./lane-model.js" */
/** @import { ServerClock } from "../server-clock.js" */
import { fitted, isStill } from "../frames.js";
import { colorOf, palette } from "../palette.js";
import { counted, duration, spoken } from "../words.js";
import { LaneModel, STUCK_MS, WINDOW_MS } from "./lane-model.js";

// The picture is so far behind that what it shows at its right edge has been reported.
const BEHIND_MS = 320;
const FLASH_MS = 900;
const AXIS_PX = 16;
const GAP_PX = 5;
const NARROW_PX = 560;
// Lines across more than a thousand bars would say no more than a few dozen.
const MAX_LINES = 24;
const MAX_LABELS = 3;
// In a storm a flash for each would hide what it points at.
const MAX_FLASHES = 4;
const LABEL_EVERY_PX = 120;
const LABEL_PX = 18;
const LATE_MS = 30;
const TIP_PX = 6;
const REASONS = /** @type {Record<string, string>} */ ({
  chaos: "killed",
  grace: "did not stop: replaced",
  heartbeat: "no sign of life: replaced",
  exit: "ended",
  uncaught: "crashed",
  out_of_memory: "out of memory",
});

/** @typedef {{ lane: Lane, top: number, height: number }} Placed */

/** Draws the lanes of a model. */
export class Lanes {
  /** @type {HTMLCanvasElement} */
  #canvas;
  /** @type {ServerClock} */
  #clock;
  /** @type {{ bar: Bar, left: number, right: number, top: number, bottom: number }[]} */
  #hits = [];
  /** Its picture stands still while nobody speaks. */
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
    const placed = this.#place();
    const { context, width, height } = fitted(this.#canvas);
    const gutter = width < NARROW_PX ? 62 : 112;
    if (this.isLive) this.#edge = this.#clock.now() - BEHIND_MS;
    const edge = this.#edge;
    const scale = (width - gutter - 8) / WINDOW_MS;
    /** @param {number} at */
    const x = (at) => gutter + (at - (edge - WINDOW_MS)) * scale;
    const colors = palette();
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(this.#canvas).fontFamily}`;
    context.textBaseline = "middle";
    /** @type {View} */
    const view = { context, x, gutter, width, height, edge, colors, labels: [] };

    for (const one of placed) drawGround(view, one);
    context.save();
    context.beginPath();
    context.rect(gutter, 0, width - gutter - 8, height);
    context.clip();
    for (const one of placed) {
      if (one.lane.pool === "main") drawLoop(view, one);
      else if (one.lane.pool === "journal") drawCommits(view, one);
      else drawLoad(view, one);
    }
    this.#drawBars(view, placed);
    for (const one of placed) drawDeaths(view, one);
    this.#drawCancels(view, placed);
    drawGaps(view, this.model.gaps);
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
    // What was drawn last is on top.
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

  /** Sets the canvas's height to what the lanes need, and says where they are. @returns {Placed[]} */
  #place() {
    const { lanes } = this.model;
    const many = lanes.length;
    // Many threads get less room each; eight need no less.
    const share = many <= 10 ? 1 : Math.max(0.4, 10 / many);
    const heightOf = (/** @type {Lane} */ { pool }) => Math.round((pool === "shared" ? 78 : pool === "exclusive" ? 36 : 28) * share);
    let top = 2;
    const placed = lanes.map((lane) => {
      const height = heightOf(lane);
      const one = { lane, top, height };
      top += height + GAP_PX;
      return one;
    });
    const height = `${top + AXIS_PX}px`;
    if (this.#canvas.style.height !== height) this.#canvas.style.height = height;
    return placed;
  }

  /**
   * @param {View} view
   * @param {readonly Placed[]} placed
   */
  #drawBars({ context, x, gutter, width, edge, colors }, placed) {
    const byLane = new Map(placed.map((one) => [one.lane, one]));
    this.#hits = [];
    for (const bar of this.model.bars) {
      const one = byLane.get(bar.lane);
      if (one === undefined) continue;
      const left = Math.max(gutter - 4, x(bar.from));
      const isRunning = bar.status === "running";
      // It has run on since it was reported.
      const right = Math.max(x(isRunning ? Math.max(bar.to, edge) : bar.to), left + 1.5);
      if (right < gutter || left > width) continue;
      const color = colorOf(this.steps[bar.step] ?? "");
      const { top, height } = barBox(one, bar.sub);
      const isComputing = bar.lane.pool === "exclusive";
      context.globalAlpha = isComputing ? 1 : 0.34;
      context.fillStyle = color;
      context.fillRect(left, top, right - left, height);
      context.globalAlpha = 1;
      if (isComputing) hatch(context, left, top, right - left, height, colors.lane);
      else context.fillRect(left, top + height - 1.5, right - left, 1.5);
      if (isRunning) drawTip(context, Math.min(right, x(edge)), top, height);
      if (bar.status === "failed" || bar.status === "lost") {
        context.fillStyle = colors.failed;
        const cap = Math.max(1, Math.min(3, (right - left) / 4));
        context.fillRect(right - cap, top - 1, cap, height + 2);
      } else if (bar.status === "canceled") {
        context.fillStyle = colors.ink;
        context.fillRect(right - Math.min(1.5, (right - left) / 4), top, 1.5, height);
      }
      if (bar.compensated !== null && right - left > 5) {
        context.fillStyle = colors.compensated;
        context.fillRect(left, top, right - left, 1.5);
      }
      this.#hits.push({ bar, left, right, top, bottom: top + height });
    }
  }

  /**
   * @param {View} view
   * @param {readonly Placed[]} placed
   */
  #drawCancels(view, placed) {
    const { context, x, gutter, width, colors } = view;
    const byLane = new Map(placed.map((one) => [one.lane, one]));
    const nowMs = performance.now();
    const flashPx = width < NARROW_PX ? 4 : 9;
    const main = placed[0];
    /** @type {{ text: string, at: number, y: number }[]} */
    const labels = [];
    for (const [index, cancel] of this.model.cancels.slice(-MAX_LINES).reverse().entries()) {
      const from = cancel.cause === undefined ? main && { y: main.top + main.height / 2 } : middleOf(byLane, cancel.cause);
      if (from === undefined) continue;
      const at = x(cancel.at);
      if (at < gutter || at > width) continue;
      const fresh = isStill() || index >= MAX_FLASHES ? 0 : Math.max(0, 1 - (nowMs - cancel.seenMs) / FLASH_MS);
      context.strokeStyle = colors.failed;
      context.fillStyle = colors.failed;
      for (const stopped of cancel.stopped) {
        const to = middleOf(byLane, stopped);
        if (to === undefined) continue;
        const end = x(stopped.to);
        context.globalAlpha = 0.4 + 0.6 * fresh;
        context.lineWidth = 1 + 1.5 * fresh;
        context.beginPath();
        context.moveTo(at, from.y);
        context.lineTo(end, to.y);
        context.stroke();
        context.beginPath();
        context.arc(end, to.y, 1.5 + (flashPx / 2) * fresh, 0, 2 * Math.PI);
        context.globalAlpha = 0.6 + 0.2 * fresh;
        context.fill();
      }
      context.beginPath();
      context.globalAlpha = 0.8;
      context.arc(at, from.y, 2.5 + flashPx * fresh, 0, 2 * Math.PI);
      context.fill();
      context.globalAlpha = 1;
      if (labels.length < MAX_LABELS && Math.abs((labels.at(-1)?.at ?? Number.POSITIVE_INFINITY) - at) > LABEL_EVERY_PX) {
        labels.push({ text: labelOf(cancel), at, y: from.y });
      }
    }
    // On top of all lines and dots.
    for (const { text, at, y } of labels) drawLabel(view, text, at, y);
  }
}

/**
 * @typedef {object} View
 * @property {CanvasRenderingContext2D} context
 * @property {(at: number) => number} x
 * @property {number} gutter
 * @property {number} width
 * @property {number} height
 * @property {number} edge
 * @property {import("../palette.js").Palette} colors
 * @property {{ left: number, right: number, y: number }[]} labels that are drawn already
 */

/**
 * The head of an arrow in the colour that is set: what has it goes on.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} right
 * @param {number} top
 * @param {number} height
 */
function drawTip(context, right, top, height) {
  context.beginPath();
  context.moveTo(right - TIP_PX, top - 1);
  context.lineTo(right, top + height / 2);
  context.lineTo(right - TIP_PX, top + height + 1);
  context.fill();
}

/** @param {Cancel} cancel */
function labelOf({ order, ms }) {
  const why = order.canceled?.[0] === "sibling_failed" ? spoken(order.kind) : spoken(order.canceled?.[0] ?? "");
  return `${why}: stopped in ${duration(ms)}`;
}

/**
 * @param {Placed} placed
 * @param {number} sub
 */
function barBox({ lane, top, height }, sub) {
  if (lane.pool === "exclusive") return { top: top + 7, height: height - 14 };
  const each = (height - 6) / lane.subs;
  return { top: top + 3 + sub * each, height: Math.max(2, each - 1.5) };
}

/**
 * @param {ReadonlyMap<Lane, Placed>} byLane
 * @param {Bar} bar
 */
function middleOf(byLane, bar) {
  const one = byLane.get(bar.lane);
  if (one === undefined) return undefined;
  const { top, height } = barBox(one, bar.sub);
  return { y: top + height / 2 };
}

/**
 * @param {View} view
 * @param {Placed} placed
 */
function drawGround({ context, gutter, width, colors, x, edge }, { top, height }) {
  context.fillStyle = colors.lane;
  context.fillRect(gutter, top, width - gutter - 8, height);
  context.fillStyle = colors.line;
  for (let second = Math.ceil((edge - WINDOW_MS) / 1_000); second * 1_000 <= edge; second++) {
    context.fillRect(Math.round(x(second * 1_000)), top, 1, height);
  }
}

/** How busy the main thread is, and where a timer was late. @param {View} view @param {Placed} placed */
function drawLoop({ context, x, colors }, { lane, top, height }) {
  context.fillStyle = colors.faint;
  eachSample(lane, (sample, from) => {
    const tall = Math.max(1, sample.level * (height - 2));
    context.fillRect(x(from), top + height - tall, x(sample.at) - x(from) + 0.5, tall);
  });
  context.fillStyle = colors.warn;
  eachSample(lane, (sample, from) => {
    if (sample.other >= LATE_MS) context.fillRect(x(from), top, x(sample.at) - x(from), Math.min(height, 2 + sample.other / 20));
  });
}

/** A bar a tick: how many requests its commits made durable. @param {View} view @param {Placed} placed */
function drawCommits({ context, x, colors }, { lane, top, height }) {
  context.fillStyle = colors.faint;
  eachSample(lane, (sample, from) => {
    if (sample.other === 0) return;
    const tall = Math.min(height - 2, 3 + Math.log2(1 + sample.other) * 1.9);
    context.fillRect(x(from) + 1, top + height - tall, Math.max(1, x(sample.at) - x(from) - 2), tall);
  });
}

/** How many steps the thread carried, reported or not; and when it did not come to its heartbeat. @param {View} view @param {Placed} placed */
function drawLoad({ context, x, colors }, { lane, top, height }) {
  eachSample(lane, (sample, from) => {
    const left = x(from);
    const wide = x(sample.at) - left + 0.5;
    if (sample.other > STUCK_MS) {
      context.globalAlpha = 0.35;
      context.fillStyle = colors.failed;
      context.fillRect(left, top, wide, height);
      context.globalAlpha = 1;
    }
    if (sample.level === 0) return;
    // Below the bar of its one step, which begins and ends between two samples.
    const share = lane.pool === "exclusive" ? 0.16 : Math.min(1, Math.log2(1 + sample.level) / 10);
    context.globalAlpha = 0.55;
    context.fillStyle = colors.faint;
    context.fillRect(left, top + height - share * height, wide, share * height);
    context.globalAlpha = 1;
  });
}

/**
 * @param {Lane} lane
 * @param {(sample: import("./lane-model.js").Sample, from: number) => void} draw
 */
function eachSample({ samples }, draw) {
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1]?.at;
    // After a gap nothing is known of the time before.
    draw(sample, before === undefined || sample.at - before > 1_500 ? sample.at - 250 : before);
  }
}

/** @param {View} view @param {Placed} placed */
function drawDeaths(view, { lane, top, height }) {
  const { context, x, width, colors } = view;
  for (const [index, thread] of lane.threads.entries()) {
    const next = lane.threads[index + 1];
    if (thread.to === undefined) continue;
    const from = x(thread.to);
    const to = next === undefined ? width : x(next.from);
    context.globalAlpha = 0.9;
    context.fillStyle = colors.panel;
    context.fillRect(from, top, to - from, height);
    context.globalAlpha = 1;
    hatch(context, from, top, to - from, height, colors.failed);
    context.fillStyle = colors.failed;
    context.fillRect(from, top - 1, 2, height + 2);
    if (next !== undefined) {
      context.fillStyle = colors.ok;
      context.fillRect(to, top - 1, 2, height + 2);
    }
    if (thread.reason === "process ended") continue;
    const words = `#${thread.id} ${REASONS[thread.reason ?? ""] ?? "gone"}${next === undefined ? "" : ` → #${next.id}`}`;
    drawLabel(view, words, from, top + height / 2);
  }
}

/** @param {View} view @param {readonly { from: number, to: number | undefined, text: string }[]} gaps */
function drawGaps(view, gaps) {
  const { context, x, gutter, width, height, colors } = view;
  for (const { from, to, text } of gaps) {
    const left = Math.max(gutter, x(from));
    const right = to === undefined ? width : x(to);
    if (right < gutter) continue;
    context.globalAlpha = 0.85;
    context.fillStyle = colors.panel;
    context.fillRect(left, 0, Math.max(2, right - left), height - AXIS_PX);
    context.globalAlpha = 1;
    hatch(context, left, 0, Math.max(2, right - left), height - AXIS_PX, colors.warn);
    if (to !== undefined) drawLabel(view, `${text} (${duration(to - from)})`, right, height / 2);
  }
}

/** @param {View} view @param {Placed} placed */
function drawTitle({ context, gutter, colors }, { lane, top, height }) {
  const narrow = gutter < 80;
  const thread = lane.threads.at(-1);
  const last = lane.samples.at(-1);
  context.textAlign = "left";
  context.fillStyle = colors.ink;
  const name = thread === undefined ? lane.pool : narrow ? `#${thread.id}` : `${lane.pool} #${thread.id}`;
  const y = top + height / 2;
  context.fillText(name, 2, y - 6);
  context.fillStyle = colors.soft;
  context.fillText(subtitle(lane, thread, last, narrow), 2, y + 7);
}

/**
 * @param {Lane} lane
 * @param {import("./lane-model.js").LaneThread | undefined} thread
 * @param {import("./lane-model.js").Sample | undefined} last
 * @param {boolean} narrow
 */
function subtitle({ pool }, thread, last, narrow) {
  if (last === undefined) return "";
  if (pool === "main") return `${Math.round(last.level * 100)} % busy`;
  if (pool === "journal") return narrow ? `${last.level * 4}/s` : `${last.level * 4} commits/s`;
  if (thread?.to !== undefined) return "gone";
  if (last.other > STUCK_MS) return narrow ? "stuck" : `stuck ${duration(last.other)}`;
  if (last.level === 0) return "idle";
  if (narrow) return `${last.level} step${last.level === 1 ? "" : "s"}`;
  return pool === "exclusive" ? "computes" : counted(last.level, "step");
}

/** @param {View} view */
function drawAxis({ context, x, edge, height, width, colors, gutter }) {
  context.fillStyle = colors.soft;
  context.textAlign = "center";
  const every = width < NARROW_PX ? 5 : 2;
  for (let seconds = 0; seconds <= 10; seconds += every) {
    const at = x(edge - seconds * 1_000);
    context.textAlign = seconds === 0 ? "right" : at < gutter + 12 ? "left" : "center";
    context.fillRect(Math.round(at), height - AXIS_PX - 2, 1, 4);
    context.fillText(seconds === 0 ? "now" : `−${seconds} s`, at, height - AXIS_PX / 2 + 1);
  }
}

/**
 * Words beside a place, a little above or below where others stand already; left out where there is no room.
 *
 * @param {View} view
 * @param {string} text
 * @param {number} x
 * @param {number} wantedY
 */
function drawLabel({ context, colors, gutter, width, height, labels }, text, x, wantedY) {
  const wide = context.measureText(text).width + 10;
  const left = Math.max(gutter + 2, Math.min(x + 8, width - 12 - wide));
  const isFree = (/** @type {number} */ y) =>
    y > 9 &&
    y < height - AXIS_PX - 9 &&
    labels.every((other) => Math.abs(other.y - y) >= LABEL_PX || other.left > left + wide || other.right < left);
  const y = [0, 1, -1, 2, -2, 3, -3].map((steps) => wantedY + steps * LABEL_PX).find(isFree);
  if (y === undefined) return;
  labels.push({ left, right: left + wide, y });
  context.globalAlpha = 0.93;
  context.fillStyle = colors.panel;
  context.fillRect(left, y - 8, wide, 16);
  context.globalAlpha = 1;
  context.strokeStyle = colors.failed;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, y - 7.5, wide - 1, 15);
  context.fillStyle = colors.ink;
  context.textAlign = "left";
  context.fillText(text, left + 5, y + 0.5);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {string} color
 */
function hatch(context, left, top, width, height, color) {
  if (width < 5) return;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.globalAlpha = 0.3;
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  for (let x = left - height; x < left + width; x += 7) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}
