/** @import { Lane, LaneThread, Sample } from "./lane.js" */
/** @import { Placed, View } from "./view.js" */
import { counted, duration } from "../words.js";
import { STUCK_MS } from "./lane-model.js";
import { AXIS_PX } from "./marks.js";

/** A lane's thread and what it does, or did when the picture was paused, before the lane. @param {View} view @param {Placed} placed @param {boolean} isPaused */
export function drawTitle({ context, isNarrow, colors }, { lane, top, height }, isPaused) {
  const thread = lane.threads.at(-1);
  const last = lane.samples.at(-1);
  context.textAlign = "left";
  context.fillStyle = colors.ink;
  const name = thread === undefined ? lane.pool : isNarrow ? `#${thread.id}` : `${lane.pool} #${thread.id}`;
  const y = top + height / 2;
  context.fillText(name, 2, y - 6);
  context.fillStyle = colors.soft;
  context.fillText(subtitle(lane, thread, last, { isNarrow, isPaused }), 2, y + 7);
}

/**
 * @param {Lane} lane
 * @param {LaneThread | undefined} thread
 * @param {Sample | undefined} last
 * @param {{ isNarrow: boolean, isPaused: boolean }} options
 */
function subtitle({ pool }, thread, last, { isNarrow, isPaused }) {
  if (last === undefined) return "";
  if (pool === "main") return `${Math.round(last.level * 100)} % busy`;
  if (pool === "journal") return isNarrow ? `${last.level * 4}/s` : `${last.level * 4} commits/s`;
  if (thread?.to !== undefined) return "gone";
  if (last.other > STUCK_MS) return isNarrow ? "stuck" : `stuck ${duration(last.other)}`;
  // The lane beside it may show the past.
  if (last.level === 0) return isPaused ? "idle" : "idle now";
  if (isNarrow) return `${last.level} step${last.level === 1 ? "" : "s"}`;
  return pool === "exclusive" ? "computes" : counted(last.level, "step");
}

/** The seconds, below the lanes; `edgeWord` stands at their end. @param {View} view @param {string} edgeWord */
export function drawAxis({ context, x, edge, span, height, isNarrow, colors, left }, edgeWord) {
  context.fillStyle = colors.soft;
  context.textAlign = "center";
  const every = span / (isNarrow ? 2 : 5);
  for (let ms = 0; ms <= span; ms += every) {
    const at = x(edge - ms);
    context.textAlign = ms === 0 ? "right" : at < left + 12 ? "left" : "center";
    context.fillRect(Math.round(at), height - AXIS_PX - 2, 1, 4);
    context.fillText(ms === 0 ? edgeWord : `−${ms / 1_000} s`, at, height - AXIS_PX / 2 + 1);
  }
}
