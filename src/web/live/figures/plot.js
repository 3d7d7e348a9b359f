/** @import { Shape } from "./plots.js" */
import { colorOf, palette } from "../palette.js";
import { drawAxes } from "./axes.js";

/** @typedef {{ readonly color: string, readonly values: Float64Array }} Line */

// A series without a value above zero has a scale all the same.
const LEAST = 0.1;
/** By the place of a series in its plot, so that colours alone need not tell them apart. */
const DASHES = [[], [5, 3], [1.5, 2.5], [8, 2, 2, 2], [3, 3], [8, 4]];

/**
 * Draws some series of equal length, a point per second.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {readonly Line[]} series
 * @param {object} options
 * @param {Shape} options.shape
 * @param {number} options.least the end of the scale where all values are below it
 * @param {number | undefined} options.pointed the index of the point under the pointer
 */
export function drawPlot(canvas, series, { shape, least, pointed }) {
  const drawn = shape === "stacked" ? stacked(series) : series.map((one) => ({ ...one, from: undefined }));
  let most = least;
  let min = least / 10;
  for (const { values } of drawn) {
    for (const value of values) {
      if (value > most) most = value;
      if (value > 0 && value < min) min = value;
    }
  }
  const points = drawn[0]?.values.length ?? 0;
  const { context, x, y, top, bottom } = drawAxes(canvas, { shape, most, min: Math.max(min, least / 1e4, LEAST / 1e3), points });
  for (const [index, { values, from, color }] of [...drawn.entries()].toReversed()) {
    context.strokeStyle = colorOf(color);
    context.fillStyle = colorOf(color);
    context.lineWidth = 1.5;
    context.setLineDash(DASHES[index % DASHES.length] ?? []);
    if (from === undefined) drawLine(context, values, x, y);
    else {
      context.globalAlpha = 0.75;
      for (const [at, value] of values.entries()) {
        const floor = from[at] ?? 0;
        if (value > floor) context.fillRect(x(at - 0.5), y(value), x(1) - x(0) + 0.5, y(floor) - y(value));
      }
      context.globalAlpha = 1;
    }
  }
  context.setLineDash([]);
  if (pointed === undefined) return;
  context.fillStyle = palette().soft;
  context.fillRect(x(pointed), top, 1, bottom - top);
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
    return { color, values: below, from };
  });
}
