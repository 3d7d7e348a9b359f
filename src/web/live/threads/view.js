/** @import { Lane } from "./lane.js" */
/** @import { Palette } from "../palette.js" */
import { fitted } from "../frames.js";
import { palette } from "../palette.js";
import { WINDOW_MS } from "./lane-model.js";

export const AXIS_PX = 16;
const GAP_PX = 5;
const RIGHT_PX = 8;
// Below this width words are left out, so that bars have the room.
const NARROW_PX = 560;

/** @typedef {{ lane: Lane, top: number, height: number }} Placed where a lane is on the canvas, in CSS pixels */

/**
 * @typedef {object} View one picture of the lanes: a canvas, its measures in CSS pixels, and what is drawn already
 * @property {CanvasRenderingContext2D} context
 * @property {readonly Placed[]} placed from top to bottom, the main thread first
 * @property {ReadonlyMap<Lane, Placed>} byLane
 * @property {(at: number) => number} x where a moment of the server's clock is
 * @property {number} edge the moment at the right edge
 * @property {number} left where the lanes begin; their titles stand before it
 * @property {number} right where the lanes end
 * @property {number} width
 * @property {number} height
 * @property {boolean} isNarrow
 * @property {Palette} colors
 * @property {{ left: number, right: number, y: number }[]} labels that are drawn already
 */

/**
 * Gives the canvas the height that the lanes need, and clears it.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {readonly Lane[]} lanes
 * @param {number} edge
 * @returns {View}
 */
export function viewOf(canvas, lanes, edge) {
  const placed = place(lanes);
  const last = placed.at(-1);
  const wanted = `${(last === undefined ? 2 : last.top + last.height + GAP_PX) + AXIS_PX}px`;
  if (canvas.style.height !== wanted) canvas.style.height = wanted;
  const { context, width, height } = fitted(canvas);
  const isNarrow = width < NARROW_PX;
  const left = isNarrow ? 62 : 112;
  const right = width - RIGHT_PX;
  const scale = (right - left) / WINDOW_MS;
  const byLane = new Map(placed.map((one) => [one.lane, one]));
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  const x = (/** @type {number} */ at) => left + (at - (edge - WINDOW_MS)) * scale;
  return { context, placed, byLane, x, edge, left, right, width, height, isNarrow, colors: palette(), labels: [] };
}

/** @param {readonly Lane[]} lanes @returns {Placed[]} */
function place(lanes) {
  // Up to ten lanes have their full height; more share what ten would have.
  const share = lanes.length <= 10 ? 1 : Math.max(0.4, 10 / lanes.length);
  let top = 2;
  return lanes.map((lane) => {
    const height = Math.round((lane.pool === "shared" ? 78 : lane.pool === "exclusive" ? 36 : 28) * share);
    const one = { lane, top, height };
    top += height + GAP_PX;
    return one;
  });
}
