/** @import { Shape } from "./plots.js" */
import { fitted } from "../frames.js";
import { palette } from "../palette.js";
import { age, short } from "../words.js";

const LEFT_PX = 36;
const TOP_PX = 6;
const BOTTOM_PX = 14;
// More decades than this have every second one named.
const MAX_NAMED = 4;
const STATES = ["closed", "half", "open"];

/**
 * @typedef {object} Frame
 * @property {CanvasRenderingContext2D} context
 * @property {(index: number) => number} x where a point of a series is
 * @property {(value: number) => number} y
 * @property {number} top
 * @property {number} bottom
 */

/**
 * Clears a canvas and draws the axes: values to the left, seconds below.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {object} scale
 * @param {Shape} scale.shape
 * @param {number} scale.min the smallest value above zero
 * @param {number} scale.most the largest
 * @param {number} scale.points of a series, one per second
 * @returns {Frame}
 */
export function drawAxes(canvas, { shape, min, most, points }) {
  const { context, width, height } = fitted(canvas);
  const colors = palette();
  const bottom = height - BOTTOM_PX;
  const tall = bottom - TOP_PX;
  const low = Math.floor(Math.log10(min));
  const decades = Math.max(1, Math.ceil(Math.log10(most)) - low);
  const top = niceAbove(most);
  const share = (/** @type {number} */ value) =>
    shape === "log" ? Math.max(0, (Math.log10(Math.max(value, 1e-9)) - low) / decades) : value / top;
  const { x } = along(width, points);
  const y = (/** @type {number} */ value) => bottom - tall * share(value);

  context.clearRect(0, 0, width, height);
  context.font = `10px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const { value, name } of ticks()) {
    context.fillStyle = colors.line;
    context.fillRect(LEFT_PX, Math.round(y(value)), width - LEFT_PX, 1);
    context.fillStyle = colors.soft;
    context.fillText(name, LEFT_PX - 4, y(value));
  }
  context.fillStyle = colors.line;
  for (let minute = 1; points - 60 * minute > 0; minute++) context.fillRect(Math.round(x(points - 1 - 60 * minute)), TOP_PX, 1, tall);
  context.fillStyle = colors.soft;
  context.fillText("now", width, height - 5);
  context.textAlign = "left";
  context.fillText(`−${age(points)}`, LEFT_PX, height - 5);
  return { context, x, y, top: TOP_PX, bottom };

  /** @returns {{ value: number, name: string }[]} */
  function ticks() {
    if (shape === "states") return STATES.map((name, value) => ({ value, name }));
    if (shape !== "log") return [0, top / 2, top].map((value) => ({ value, name: short(value) }));
    const every = decades > MAX_NAMED ? 2 : 1;
    return Array.from({ length: decades + 1 }, (_, n) => ({ value: 10 ** (low + n), name: n % every === 0 ? short(10 ** (low + n)) : "" }));
  }
}

/**
 * Where a point of a series is, and which one is nearest to a place.
 *
 * @param {number} width of the canvas
 * @param {number} points
 */
export function along(width, points) {
  const each = (width - LEFT_PX - 2) / (points - 1);
  return {
    x: (/** @type {number} */ index) => LEFT_PX + index * each,
    nearest: (/** @type {number} */ x) => Math.max(0, Math.min(points - 1, Math.round((x - LEFT_PX) / each))),
  };
}

/** @param {number} value */
function niceAbove(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  // Half of each is a short number too.
  for (const step of [1, 2, 4, 6, 8, 10]) if (value <= unit * step) return unit * step;
  return value;
}
