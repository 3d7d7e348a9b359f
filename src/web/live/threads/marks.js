/** @import { View } from "./view.js" */

// The height of the axis below the lanes.
export const AXIS_PX = 16;
// The height of a label and the room around it.
const LABEL_PX = 18;
const MAX_STEPS = 12;

/** @typedef {{ readonly left: number, readonly right: number, readonly top: number, readonly bottom: number }} Box in CSS pixels */

/**
 * A label beside a place. It moves up or down where bars or other labels are in its way. Where bars are everywhere it lies on some, and
 * where other labels are it is left out.
 *
 * @param {View} view
 * @param {string} text
 * @param {number} x
 * @param {number} wantedY
 */
export function drawLabel({ context, colors, left: start, width, height, bars, labels }, text, x, wantedY) {
  const wide = context.measureText(text).width + 10;
  const left = Math.max(start + 2, Math.min(x + 8, width - 12 - wide));
  const boxAt = (/** @type {number} */ y) => ({ left, right: left + wide, top: y - LABEL_PX / 2, bottom: y + LABEL_PX / 2 });
  const isFreeOf = (/** @type {readonly Box[]} */ others) => (/** @type {number} */ y) => {
    const { top, bottom } = boxAt(y);
    return others.every((other) => other.top >= bottom || other.bottom <= top || other.left > left + wide || other.right < left);
  };
  const places = Array.from({ length: 2 * MAX_STEPS + 1 }, (_, n) => wantedY + Math.ceil(n / 2) * (n % 2 === 0 ? 1 : -1) * LABEL_PX)
    .filter((y) => y > 9 && y < height - AXIS_PX - 9)
    .filter(isFreeOf(labels));
  const y = places.find(isFreeOf(bars)) ?? places[0];
  if (y === undefined) return;
  labels.push(boxAt(y));
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
