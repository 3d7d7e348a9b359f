/** @import { Bar } from "./lane.js" */
/** @import { Placed, View } from "./view.js" */
import { colorOf, stepColor } from "../palette.js";
import { hatch } from "./marks.js";

const TIP_PX = 6;
const FONT_PX = 11;
const LEAST_FONT_PX = 8;
/** What a bar says of its end where it has the room. @type {Readonly<Record<string, string>>} */
const ENDS = { failed: "failed", lost: "lost with its thread", canceled: "stopped" };

/** @typedef {{ bar: Bar, left: number, right: number, top: number, bottom: number }} Hit where a bar was drawn, in CSS pixels */

/**
 * Draws the steps.
 *
 * @param {View} view
 * @param {readonly Bar[]} bars
 * @returns {Hit[]} in the order in which they were drawn
 */
export function drawBars(view, bars) {
  /** @type {Hit[]} */
  const hits = [];
  for (const bar of bars) {
    const hit = drawBar(view, bar);
    if (hit !== undefined) hits.push(hit);
  }
  return hits;
}

/**
 * @param {View} view
 * @param {Bar} bar
 * @returns {Hit | undefined}
 */
function drawBar(view, bar) {
  const { context, byLane, x, left: start, width, edge, colors } = view;
  const placed = byLane.get(bar.lane);
  if (placed === undefined) return undefined;
  const left = Math.max(start - 4, x(bar.from));
  const isRunning = bar.status === "running";
  // The step has run on since the latest report.
  const right = Math.max(x(isRunning ? Math.max(bar.to, edge) : bar.to), left + 1.5);
  if (right < start || left > width) return undefined;
  const { top, height } = barBox(placed, bar.sub);
  const isComputing = bar.lane.pool === "exclusive";
  context.globalAlpha = isComputing ? 1 : 0.34;
  context.fillStyle = colorOf(stepColor(bar.step));
  context.fillRect(left, top, right - left, height);
  context.globalAlpha = 1;
  if (isComputing) hatch(context, left, top, right - left, height, colors.lane);
  else context.fillRect(left, top + height - 1.5, right - left, 1.5);
  if (isRunning) drawTip(context, Math.min(right, x(edge)), top, height);
  if (bar.status === "failed" || bar.status === "lost") {
    context.fillStyle = colors.failed;
    const cap = Math.max(1, Math.min(4, (right - left) / 4));
    context.fillRect(right - cap, top - 1, cap, height + 2);
  } else if (bar.status === "canceled") {
    context.fillStyle = colors.ink;
    context.fillRect(right - Math.min(3, (right - left) / 4), top, Math.min(3, (right - left) / 4), height);
  }
  if (bar.compensated !== null && right - left > 5) {
    context.fillStyle = colors.compensated;
    context.fillRect(left, top, right - left, height < 12 ? 1.5 : 3);
  }
  context.fillStyle = isComputing ? colors.panel : colors.ink;
  drawName(view, bar, Math.max(left, start), Math.min(right, width), top, height);
  return { bar, left, right, top, bottom: top + height };
}

/**
 * The step and its end in as many words as the bar has room for, or the step's first letter: colours alone say nothing to some readers.
 *
 * @param {View} view
 * @param {Bar} bar
 * @param {number} left
 * @param {number} right
 * @param {number} top
 * @param {number} height
 */
function drawName({ context, steps }, { step, status, compensated }, left, right, top, height) {
  const size = Math.min(FONT_PX, height - 2);
  const name = steps[step] ?? "";
  if (size < LEAST_FONT_PX || right - left < size || name === "") return;
  const initial = name.charAt(0).toUpperCase();
  const undone = compensated === null ? undefined : compensated === "done" ? "compensated" : "not compensated yet";
  const end = ENDS[status] ?? undone;
  const font = context.font;
  context.font = font.replace(/^[\d.]+px/, `${size}px`);
  context.textAlign = "left";
  const text = [end === undefined ? name : `${name} ${end}`, name, initial].find(
    (one) => context.measureText(one).width < right - left - 4,
  );
  if (text !== undefined) context.fillText(text, left + 2, top + height / 2 + 0.5);
  context.font = font;
}

/**
 * The head of an arrow, in the colour that is set: the step still runs.
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

/**
 * @param {Placed} placed
 * @param {number} sub
 */
function barBox({ lane, top, height, subs }, sub) {
  if (lane.pool === "exclusive") return { top: top + 4, height: height - 8 };
  const each = (height - 6) / subs;
  return { top: top + 3 + sub * each, height: Math.max(2, each - 1.5) };
}

/**
 * The height at which lines from and to a bar end.
 *
 * @param {View} view
 * @param {Bar} bar
 */
export function middleOf({ byLane }, bar) {
  const placed = byLane.get(bar.lane);
  if (placed === undefined) return undefined;
  const { top, height } = barBox(placed, bar.sub);
  return top + height / 2;
}
