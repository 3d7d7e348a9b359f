/** @import { Cancel } from "./lane-model.js" */
/** @import { View } from "./view.js" */
import { isStill } from "../frames.js";
import { duration, spoken } from "../words.js";
import { middleOf } from "./bars.js";
import { drawLabel } from "./marks.js";

const FLASH_MS = 900;
// Lines across more than a thousand bars would say no more than a few dozen.
const MAX_LINES = 24;
const MAX_LABELS = 3;
// In a storm more flashes, or more lines as strong as these, would hide the bars.
const MAX_FLASHES = 4;
const LABEL_EVERY_PX = 120;
// How far right of the bars the line goes down or up, so that its arrows lie beside the bars that they stop.
const TRUNK_PX = 15;
const HEAD_PX = 5;

/**
 * A line from each cause to every step it stopped, the latest cancel first; a new one flashes.
 *
 * @param {View} view
 * @param {readonly Cancel[]} cancels
 */
export function drawCancels(view, cancels) {
  const { x, left, right, placed } = view;
  const nowMs = performance.now();
  const main = placed[0];
  /** @type {{ text: string, from: number, to: number, y: number }[]} */
  const labels = [];
  const trunkOf = (/** @type {Cancel} */ { at, stopped }) => x(Math.max(at, ...stopped.map(({ to }) => to))) + TRUNK_PX;
  // One that the edge would cut waits until it has the room.
  const shown = cancels.filter((cancel) => x(cancel.at) >= left && trunkOf(cancel) <= right);
  for (const [index, cancel] of shown.slice(-MAX_LINES).reverse().entries()) {
    const y = cancel.cause === undefined ? main && main.top + main.height / 2 : middleOf(view, cancel.cause);
    if (y === undefined) continue;
    const at = x(cancel.at);
    const trunk = trunkOf(cancel);
    const fresh = isStill() || shown.length > MAX_FLASHES ? 0 : Math.max(0, 1 - (nowMs - cancel.seenMs) / FLASH_MS);
    drawCancel(view, cancel, { at, y, trunk, strength: index < MAX_FLASHES ? 1 : 0.35, fresh });
    if (labels.length < MAX_LABELS && Math.abs((labels.at(-1)?.to ?? Number.POSITIVE_INFINITY) - at) > LABEL_EVERY_PX) {
      const from = x(Math.min(cancel.at, ...cancel.stopped.map((bar) => bar.from), cancel.cause?.from ?? cancel.at));
      labels.push({ text: labelOf(cancel, view), from, to: trunk, y });
    }
  }
  // On top of all lines and dots.
  for (const [index, { text, ...place }] of labels.entries()) drawLabel(view, text, place, index === 0);
}

/**
 * From the cause to the right, down or up, and from there an arrow to the end of each bar.
 *
 * @param {View} view
 * @param {Cancel} cancel
 * @param {{ at: number, y: number, trunk: number, strength: number, fresh: number }} from the cause; `fresh` falls from 1 to 0 while it flashes
 */
function drawCancel(view, { stopped }, { at, y, trunk, strength, fresh }) {
  const { context, x, isNarrow, colors, bars } = view;
  context.strokeStyle = colors.failed;
  context.fillStyle = colors.failed;
  context.lineWidth = 1.5 + 1.5 * fresh;
  context.globalAlpha = strength;
  for (const bar of stopped) {
    const barY = middleOf(view, bar);
    if (barY === undefined) continue;
    const end = x(bar.to) + 2;
    context.beginPath();
    context.moveTo(at, y);
    context.lineTo(trunk, y);
    context.lineTo(trunk, barY);
    context.lineTo(end + HEAD_PX, barY);
    context.stroke();
    if (strength === 1) bars.push({ left: trunk - 1, right: trunk + 1, top: Math.min(y, barY), bottom: Math.max(y, barY) });
    context.beginPath();
    context.moveTo(end, barY);
    context.lineTo(end + 2 * HEAD_PX, barY - HEAD_PX);
    context.lineTo(end + 2 * HEAD_PX, barY + HEAD_PX);
    context.fill();
  }
  drawDot(context, at, y, 3.5 + (isNarrow ? 4 : 9) * fresh);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function drawDot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/**
 * What stopped which steps, and on which threads; on a narrow picture no more than there is room for beside the bars.
 *
 * @param {Cancel} cancel
 * @param {View} view
 */
function labelOf({ order, cause, stopped, ms }, { steps, isNarrow }) {
  if (isNarrow) return `stopped: ${duration(ms)}`;
  const why = order.canceled?.[0] ?? "";
  const names = stopped.map(({ step, thread }) => `${steps[step] ?? ""}${thread === cause?.thread ? "" : ` on #${thread}`}`).join(" and ");
  return `${spoken(why === "sibling_failed" ? order.kind : why)}: stopped ${names} in ${duration(ms)}`;
}
