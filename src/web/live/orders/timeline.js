/** @import { SampledOrder } from "../../../admin/live/messages.ts" */
import { element, svgElement } from "../elements.js";
import { stepColor } from "../palette.js";
import { duration, spoken } from "../words.js";

const LINE_WIDTH = 180;
const ROW_HEIGHT = 5;
const ROW_GAP = 2;

/**
 * How an order ended, in a word, because a colour alone says nothing to some readers.
 *
 * @param {string} kind
 */
export function badge(kind) {
  return element("span", { class: `badge ${kind === "ok" ? "good" : kind === "running" ? "plain" : "bad"}` }, spoken(kind));
}

/**
 * An order from its start to its answer, a row per step.
 *
 * @param {Pick<SampledOrder, "started" | "stored" | "steps" | "canceled">} order
 * @param {readonly string[]} steps
 */
export function timeline({ started, stored, steps: ends, canceled }, steps) {
  const height = ends.length * (ROW_HEIGHT + ROW_GAP) - ROW_GAP;
  const wholeMs = Math.max(stored - started, 0.001);
  const x = (/** @type {number} */ at) => Math.max(0, Math.min(LINE_WIDTH, ((at - started) / wholeMs) * LINE_WIDTH));
  const words = ends.map(([status, , from, to, compensated], index) => {
    const ran = status === "canceled" && from === null ? "never began" : `${status} after ${duration(Math.max(0, to - started))}`;
    return `${steps[index]} ${ran}${compensated === null ? "" : `, compensation ${compensated}`}`;
  });
  const lines = ends.flatMap(([status, , from, to, compensated], index) => {
    const y = index * (ROW_HEIGHT + ROW_GAP);
    const left = x(from ?? to);
    const width = Math.max(2, x(to) - left);
    const bar = svgElement("rect", { x: left, y, width, height: ROW_HEIGHT, class: `step ${stepColor(index)}` });
    const end = svgElement("rect", { x: Math.max(0, x(to) - 2), y, width: 2, height: ROW_HEIGHT, class: `end ${status}` });
    if (compensated === null) return [bar, end];
    // The compensation runs after the last step and until the answer.
    const last = Math.max(...ends.map((step) => step[3]));
    const compensation = {
      x: x(last),
      y: y + 1,
      width: Math.max(3, LINE_WIDTH - x(last)),
      height: ROW_HEIGHT - 2,
      class: `compensation ${compensated}`,
    };
    return [bar, end, svgElement("rect", compensation)];
  });
  if (canceled !== undefined) lines.push(svgElement("rect", { x: x(canceled[1]), y: 0, width: 1, height, class: "cancel" }));
  return picture(words.join("; "), height, lines);
}

/**
 * How long a step took, beside the longest of its attempt.
 *
 * @param {{ readonly status: string, readonly duration_ms: number }} step
 * @param {number} index of the step
 * @param {number} longestMs
 */
export function durationBar({ status, duration_ms }, index, longestMs) {
  const width = Math.max(2, (duration_ms / Math.max(longestMs, 1)) * LINE_WIDTH);
  const bar = svgElement("rect", { x: 0, y: 0, width, height: ROW_HEIGHT, class: `step ${stepColor(index)}` });
  const end = svgElement("rect", {
    x: width - 2,
    y: 0,
    width: 2,
    height: ROW_HEIGHT,
    class: `end ${status === "error" ? "failed" : status}`,
  });
  return picture(`${status} after ${duration(duration_ms)}`, ROW_HEIGHT, [bar, end]);
}

/** @param {string} label @param {number} height @param {readonly Node[]} shapes */
function picture(label, height, shapes) {
  const title = svgElement("title");
  title.textContent = label;
  return svgElement(
    "svg",
    { viewBox: `0 0 ${LINE_WIDTH} ${height}`, class: "timeline", role: "img", "aria-label": label },
    title,
    ...shapes,
  );
}
