/** @import { Gap } from "./lane-model.js" */
/** @import { Placed, View } from "./view.js" */
import { duration } from "../words.js";
import { AXIS_PX, drawLabel, hatch } from "./marks.js";

// By the reasons of `threadReplaced`.
const REASONS = /** @type {Record<string, string>} */ ({
  killed: "killed",
  grace: "did not stop: replaced",
  heartbeat: "no sign of life: replaced",
  exit: "ended",
  uncaught: "crashed",
  out_of_memory: "out of memory",
});

/** The time from the end of a thread to the start of the next one in its lane. @param {View} view @param {Placed} placed */
export function drawDeaths(view, { lane, top, height }) {
  const { context, x, width, colors } = view;
  for (const [index, thread] of lane.threads.entries()) {
    const next = lane.threads[index + 1];
    if (thread.to === undefined) continue;
    const from = x(thread.to);
    const to = next === undefined ? width : x(next.from);
    context.globalAlpha = 0.9;
    context.fillStyle = colors.panel;
    context.fillRect(from, top, to - from, height);
    context.globalAlpha = 1;
    hatch(context, from, top, to - from, height, colors.failed);
    context.fillStyle = colors.failed;
    context.fillRect(from, top - 1, 2, height + 2);
    if (next !== undefined) {
      context.fillStyle = colors.ok;
      context.fillRect(to, top - 1, 2, height + 2);
    }
    if (thread.reason === "process ended") continue;
    const text = `#${thread.id} ${REASONS[thread.reason ?? ""] ?? "gone"}${next === undefined ? "" : ` → #${next.id}`}`;
    drawLabel(view, text, { from, to: from, y: top + height / 2 });
  }
}

/** The times of which the page knows nothing, across all lanes. @param {View} view @param {readonly Gap[]} gaps */
export function drawGaps(view, gaps) {
  const { context, x, left: start, height, colors } = view;
  for (const { from, to, text } of gaps) {
    const left = Math.max(start, x(from));
    const right = x(to);
    if (right < start) continue;
    context.globalAlpha = 0.85;
    context.fillStyle = colors.panel;
    context.fillRect(left, 0, Math.max(2, right - left), height - AXIS_PX);
    context.globalAlpha = 1;
    hatch(context, left, 0, Math.max(2, right - left), height - AXIS_PX, colors.warn);
    const label = `${text} (${duration(to - from)})`;
    const isRoomy = right - left > context.measureText(label).width + 20;
    const place = isRoomy ? { from: Number.NEGATIVE_INFINITY, to: left - 4 } : { from: left, to: right };
    drawLabel(view, label, { ...place, y: height / 2 });
  }
}
