/** @import { Shape } from "./plots.js" */
import { fitted } from "../frames.js";
import { colorOf, palette } from "../palette.js";
import { short } from "../words.js";

/** @typedef {{ readonly color: string, readonly dashed: boolean, readonly values: Float64Array }} Line */

const TOP_PX = 12;
const BOTTOM_PX = 2;

/**
 * Draws some series of equal length, a point a second.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {readonly Line[]} series
 * @param {object} options
 * @param {Shape} options.shape
 * @param {number} options.least the end of the scale where all values are below it
 * @param {number | undefined} options.pointed the index of the point under the pointer
 */
export function drawPlot(canvas, series, { shape, least, pointed }) {
  const { context, width, height } = fitted(canvas);
  const colors = palette();
  context.clearRect(0, 0, width, height);
  const drawn = shape === "stacked" ? stacked(series) : series.map((one) => ({ ...one, from: undefined }));
  let most = least;
  for (const { values } of drawn) for (const value of values) if (value > most) most = value;
  most = niceAbove(most);
  const bottom = height - BOTTOM_PX;
  const tall = bottom - TOP_PX;
  const points = drawn[0]?.values.length ?? 0;
  const x = (/** @type {number} */ index) => (index / (points - 1)) * (width - 2) + 1;
  const y = (/** @type {number} */ value) =>
    bottom - tall * (shape === "log" ? Math.log10(1 + 10 * Math.max(0, value)) / Math.log10(1 + 10 * most) : value / most);

  context.fillStyle = colors.line;
  for (let minute = 1; points - 60 * minute > 0; minute++) context.fillRect(Math.round(x(points - 1 - 60 * minute)), TOP_PX, 1, tall);
  context.fillRect(0, bottom, width, 1);
  context.fillRect(0, TOP_PX, width, 1);
  for (const { values, from, color, dashed } of drawn.toReversed()) {
    context.strokeStyle = colorOf(color);
    context.fillStyle = colorOf(color);
    context.lineWidth = 1.5;
    context.setLineDash(dashed ? [3, 3] : []);
    if (from === undefined) drawLine(context, values, x, y);
    else {
      context.globalAlpha = 0.75;
      for (const [index, value] of values.entries()) {
        const floor = from[index] ?? 0;
        if (value > floor) context.fillRect(x(index - 0.5), y(value), width / points + 0.5, y(floor) - y(value));
      }
      context.globalAlpha = 1;
    }
  }
  context.setLineDash([]);
  if (pointed !== undefined) {
    context.fillStyle = colors.soft;
    context.fillRect(x(pointed), TOP_PX, 1, tall);
  }
  context.font = `10px ${getComputedStyle(canvas).fontFamily}`;
  context.fillStyle = colors.soft;
  context.textAlign = "right";
  context.textBaseline = "top";
  context.fillText(short(most), width, 0);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Float64Array} values
 * @param {(index: number) => number} x
 * @param {(value: number) => number} y
 */
function drawLine(context, values, x, y) {
  const isKnown = (/** @type {number} */ index) => !Number.isNaN(values[index] ?? Number.NaN);
  context.beginPath();
  for (const [index, value] of values.entries()) {
    if (!isKnown(index)) continue;
    if (isKnown(index - 1)) context.lineTo(x(index), y(value));
    else context.moveTo(x(index), y(value));
    // A line to nowhere is invisible, so a point alone between gaps is a dot.
    if (!isKnown(index - 1) && !isKnown(index + 1)) context.fillRect(x(index) - 1.5, y(value) - 1.5, 3, 3);
  }
  context.stroke();
}

/**
 * Lays each series upon the ones before.
 *
 * @param {readonly Line[]} series
 */
function stacked(series) {
  let below = new Float64Array(series[0]?.values.length ?? 0);
  return series.map(({ color, values }) => {
    const from = below;
    below = values.map((value, index) => value + (Number.isNaN(from[index]) ? 0 : (from[index] ?? 0)));
    return { color, dashed: false, values: below, from };
  });
}

/** @param {number} value */
function niceAbove(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 3, 5, 7.5, 10]) if (value <= unit * step) return unit * step;
  return value;
}
