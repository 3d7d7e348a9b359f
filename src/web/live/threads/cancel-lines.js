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
// In a storm more flashes than this would hide the bars.
const MAX_FLASHES = 4;
const LABEL_EVERY_PX = 120;

/**
 * A line from each cause to every step it stopped, the latest cancel first; a new one flashes.
 *
 * @param {View} view
 * @param {readonly Cancel[]} cancels
 */
export function drawCancels(view, cancels) {
  const { x, left, width, placed } = view;
  const nowMs = performance.now();
  const main = placed[0];
  /** @type {{ text: string, from: number, to: number, y: number }[]} */
  const labels = [];
  for (const [index, cancel] of cancels.slice(-MAX_LINES).reverse().entries()) {
    const y = cancel.cause === undefined ? main && main.top + main.height / 2 : middleOf(view, cancel.cause);
    if (y === undefined) continue;
    const at = x(cancel.at);
    if (at < left || at > width) continue;
    const fresh = isStill() || index >= MAX_FLASHES ? 0 : Math.max(0, 1 - (nowMs - cancel.seenMs) / FLASH_MS);
    drawCancel(view, cancel, { at, y, fresh });
    if (labels.length < MAX_LABELS && Math.abs((labels.at(-1)?.to ?? Number.POSITIVE_INFINITY) - at) > LABEL_EVERY_PX) {
      const from = x(Math.min(cancel.at, ...cancel.stopped.map((bar) => bar.from), cancel.cause?.from ?? cancel.at));
      labels.push({ text: labelOf(cancel, view), from, to: at, y });
    }
  }
  // On top of all lines and dots.
  for (const { text, ...place } of labels) drawLabel(view, text, place);
}

/**
 * @param {View} view
 * @param {Cancel} cancel
 * @param {{ at: number, y: number, fresh: number }} from the cause; `fresh` falls from 1 to 0 while it flashes
 */
function drawCancel(view, { stopped }, { at, y, fresh }) {
  const { context, x, isNarrow, colors } = view;
  const flashPx = isNarrow ? 4 : 9;
  context.strokeStyle = colors.failed;
  context.fillStyle = colors.failed;
  for (const bar of stopped) {
    const barY = middleOf(view, bar);
    if (barY === undefined) continue;
    const end = x(bar.to);
    context.globalAlpha = 0.4 + 0.6 * fresh;
    context.lineWidth = 1 + 1.5 * fresh;
    context.beginPath();
    context.moveTo(at, y);
    context.lineTo(end, barY);
    context.stroke();
    context.globalAlpha = 0.8;
    drawHead(context, { x: at, y }, { x: end, y: barY }, 4 + (flashPx / 4) * fresh);
  }
  context.globalAlpha = 0.8;
  drawDot(context, at, y, 2.5 + flashPx * fresh);
  context.globalAlpha = 1;
}

/**
 * The head of an arrow at the end of a line.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{ x: number, y: number }} from
 * @param {{ x: number, y: number }} to
 * @param {number} size half of its width
 */
function drawHead(context, from, to, size) {
  const along = Math.atan2(to.y - from.y, to.x - from.x);
  context.save();
  context.translate(to.x, to.y);
  context.rotate(along);
  context.beginPath();
  context.moveTo(0, 0);
  context.lineTo(-2 * size, -size);
  context.lineTo(-2 * size, size);
  context.fill();
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function drawDot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/** What stopped which steps; on a narrow picture no more than there is room for beside the bars. @param {Cancel} cancel @param {View} view */
function labelOf({ order, stopped, ms }, { steps, isNarrow }) {
  if (isNarrow) return `stopped: ${duration(ms)}`;
  const cause = order.canceled?.[0] ?? "";
  const names = stopped.map(({ step }) => steps[step] ?? "").join(" and ");
  return `${spoken(cause === "sibling_failed" ? order.kind : cause)}: ${names} stopped in ${duration(ms)}`;
}
