/** @import { View } from "./view.js" */

// The height of the axis below the lanes.
export const AXIS_PX = 16;
// The height of a label and the room around it.
const LABEL_PX = 18;
const MAX_STEPS = 12;
// The middle of the strip above the lanes.
const STRIP_Y = 10;

/** @typedef {{ readonly left: number, readonly right: number, readonly top: number, readonly bottom: number }} Box in CSS pixels */

/** @typedef {{ readonly from: number, readonly to: number, readonly y: number }} Place where the bars of an order begin and end, and the height of its cause */

/**
 * A label beside the bars of an order.
 *
 * @param {View} view
 * @param {string} text
 * @param {Place} place
 * @param {boolean} [isNeeded] where there is no room for it, it lies on bars; another one is left out
 */
export function drawLabel(view, text, place, isNeeded = true) {
  const { context, colors, labels } = view;
  const wide = context.measureText(text).width + 10;
  const box = placeLabel(view, wide, place, isNeeded);
  if (box === undefined) return;
  labels.push(box);
  const { left, top } = box;
  const y = top + LABEL_PX / 2;
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
 * Left of the order's bars in the lane of its cause, or right of them there, or else in another lane or in the strip above them. Where bars
 * are everywhere one that is needed lies on some, and where other labels are it has no place.
 *
 * @param {Pick<View, "placed" | "left" | "width" | "height" | "bars" | "labels">} view
 * @param {number} wide
 * @param {Place} place
 * @param {boolean} isNeeded
 * @returns {Box | undefined}
 */
function placeLabel({ placed, left: start, width, height, bars, labels }, wide, { from, to, y: wantedY }, isNeeded) {
  const [first, last] = [start + 2, width - 12 - wide];
  const isFreeOf =
    (/** @type {readonly Box[]} */ others) =>
    (/** @type {Box} */ { left, right, top, bottom }) =>
      others.every((other) => other.top >= bottom || other.bottom <= top || other.left > right || other.right < left);
  const boxesAt = (/** @type {number} */ left, /** @type {readonly number[]} */ ys) =>
    ys.map((y) => ({ left, right: left + wide, top: y - LABEL_PX / 2, bottom: y + LABEL_PX / 2 })).filter(isFreeOf(labels));
  const ys = Array.from({ length: 2 * MAX_STEPS + 1 }, (_, n) => wantedY + Math.ceil(n / 2) * (n % 2 === 0 ? 1 : -1) * LABEL_PX).filter(
    (y) => y > 9 && y < height - AXIS_PX - 9,
  );
  const lane = placed.find((one) => wantedY >= one.top && wantedY <= one.top + one.height);
  const inLane = ys.filter((y) => lane !== undefined && y >= lane.top && y <= lane.top + lane.height);
  const beside = [from - 8 - wide, to + 8].filter((left) => left >= first && left <= last).flatMap((left) => boxesAt(left, inLane));
  const anywhere = boxesAt(Math.max(first, Math.min(to + 8, last)), [...ys, STRIP_Y]);
  return [...beside, ...anywhere].find(isFreeOf(bars)) ?? (isNeeded ? anywhere[0] : undefined);
}

/**
 * Stripes over a box that is wide enough for them.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {string} color
 */
export function hatch(context, left, top, width, height, color) {
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
