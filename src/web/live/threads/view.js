/** @import { Bar, Lane } from "./lane.js" */
/** @import { Palette } from "../palette.js" */
/** @import { Box } from "./marks.js" */
import { fitted } from "../frames.js";
import { palette } from "../palette.js";
import { AXIS_PX } from "./marks.js";

const GAP_PX = 5;
// Above the lanes, for captions that have no room beside their bars.
const TOP_PX = 20;
const RIGHT_PX = 8;
// Below this width words are left out, so that bars have the room.
const NARROW_PX = 560;
// While there are no more bars beside each other than the steps of one order, each is tall enough for its name.
const FEW_SUBS = 3;

/** @typedef {{ lane: Lane, top: number, height: number, subs: number }} Placed where a lane is on the canvas, in CSS pixels, and how many bars it has room for */

/**
 * @typedef {object} View one picture of the lanes: a canvas, its measures in CSS pixels, and what is drawn already
 * @property {CanvasRenderingContext2D} context
 * @property {readonly Placed[]} placed from top to bottom, the main thread first
 * @property {ReadonlyMap<Lane, Placed>} byLane
 * @property {(at: number) => number} x where a moment of the server's clock is
 * @property {number} edge the moment at the right edge
 * @property {number} span milliseconds from the left edge to the right one
 * @property {readonly string[]} steps their names
 * @property {number} left where the lanes begin; their titles stand before it
 * @property {number} right where the lanes end
 * @property {number} width
 * @property {number} height
 * @property {boolean} isNarrow
 * @property {Palette} colors
 * @property {Box[]} bars that are drawn already
 * @property {Box[]} labels that are drawn already
 */

/**
 * Gives the canvas the height that the lanes need, and clears it.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{ readonly lanes: readonly Lane[], readonly bars: readonly Bar[] }} drawn
 * @param {{ readonly edge: number, readonly span: number, readonly steps: readonly string[] }} options
 * @returns {View}
 */
export function viewOf(canvas, { lanes, bars }, { edge, span, steps }) {
  const isNarrow = canvas.clientWidth < NARROW_PX;
  const crowded = new Set(bars.filter(({ sub, from, to }) => sub >= FEW_SUBS && to > edge - span && from < edge).map(({ lane }) => lane));
  const placed = place(lanes, crowded, isNarrow);
  const last = placed.at(-1);
  const wanted = `${(last === undefined ? TOP_PX : last.top + last.height + GAP_PX) + AXIS_PX}px`;
  if (canvas.style.height !== wanted) canvas.style.height = wanted;
  const { context, width, height } = fitted(canvas);
  const left = isNarrow ? 62 : 112;
  const right = width - RIGHT_PX;
  const scale = (right - left) / span;
  const byLane = new Map(placed.map((one) => [one.lane, one]));
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  const x = (/** @type {number} */ at) => left + (at - (edge - span)) * scale;
  const colors = palette();
  return { context, placed, byLane, x, edge, span, steps, left, right, width, height, isNarrow, colors, bars: [], labels: [] };
}

/** @param {readonly Lane[]} lanes @param {ReadonlySet<Lane>} crowded @param {boolean} isNarrow @returns {Placed[]} */
function place(lanes, crowded, isNarrow) {
  const [shared, exclusive, other] = isNarrow ? [58, 26, 24] : [78, 36, 28];
  // Up to ten lanes have their full height; more share what ten would have.
  const share = lanes.length <= 10 ? 1 : Math.max(0.4, 10 / lanes.length);
  let top = TOP_PX;
  return lanes.map((lane) => {
    const height = Math.round((lane.pool === "shared" ? shared : lane.pool === "exclusive" ? exclusive : other) * share);
    const one = { lane, top, height, subs: crowded.has(lane) ? lane.subs : Math.min(lane.subs, FEW_SUBS) };
    top += height + GAP_PX;
    return one;
  });
}
