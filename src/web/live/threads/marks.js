/** @import { View } from "./view.js" */
import { AXIS_PX } from "./view.js";

// The height of a label and the room around it.
const LABEL_PX = 18;

/**
 * A label beside a place. It moves up or down where other labels are in its way, and is left out where there is no room.
 *
 * @param {View} view
 * @param {string} text
 * @param {number} x
 * @param {number} wantedY
 */
export function drawLabel({ context, colors, left: start, width, height, labels }, text, x, wantedY) {
  const wide = context.measureText(text).width + 10;
  const left = Math.max(start + 2, Math.min(x + 8, width - 12 - wide));
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
