import { stepColor } from "../palette.js";

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} unit
 * @property {Shape} shape
 * @property {number} least the scale ends no lower than here, so that noise does not look like an event
 * @property {readonly Series[]} series
 *
 * @typedef {"lines" | "stacked" | "log"} Shape
 *
 * @typedef {object} Series
 * @property {string} name as `History` has it
 * @property {string} label
 * @property {string} color of the palette
 * @property {boolean} dashed
 *
 * @typedef {readonly [name: string, label: string, color: string, dashed?: "dashed"]} SeriesRow
 * @typedef {readonly [title: string, unit: string, shape: Shape, least: number, ...series: SeriesRow[]]} PlotRow
 */

/** The plots of the panel. @param {readonly string[]} steps @returns {Plot[]} */
export function plotsOf(steps) {
  const ofEachStep = (/** @type {string} */ name) =>
    steps.map((step, index) => /** @type {const} */ ([`${name} ${step}`, step, stepColor(index)]));
  const colorOfStep = (/** @type {string} */ step) => stepColor(steps.indexOf(step));
  /** @type {PlotRow[]} */
  const rows = [
    [
      "Orders",
      "a second",
      "stacked",
      10,
      ["ended ok", "ok", "ok"],
      ["ended payment_declined", "declined", colorOfStep("payment")],
      ["ended vendor_unavailable", "vendor", colorOfStep("vendor")],
      ["ended timeout", "timeout", "warn"],
      ["ended canceled", "canceled", "soft"],
      ["ended other", "other", "failed"],
    ],
    ["Time to answer", "ms", "log", 100, ["order p50", "p50", "ok"], ["order p99", "p99", "ok", "dashed"]],
    ["Cancel to stop", "ms", "log", 1, ["cancel p50", "p50", "failed"], ["cancel p99", "p99", "failed", "dashed"]],
    ["In flight", "", "lines", 10, ["in flight", "orders", "ok"], ["steps running", "steps", "soft", "dashed"]],
    ["Waiting for capacity", "steps", "lines", 10, ...ofEachStep("waiting")],
    ["Capacity in use", "steps", "log", 10, ...ofEachStep("in use")],
    ["Event loop", "", "lines", 100, ["loop delay", "late ms", "warn"], ["loop busy", "busy %", "soft", "dashed"]],
    ["Threads", "", "lines", 4, ["threads", "alive", "ok"], ["replaced", "replaced/s", "failed"]],
    ["Journal", "a second", "lines", 10, ["requests", "requests", "compensated"], ["commits", "commits", "soft", "dashed"]],
    ["A commit", "", "log", 10, ["commit size", "requests", "compensated"], ["commit ms", "ms", "soft", "dashed"]],
    ["Circuits", "", "lines", 2, ...ofEachStep("circuit")],
    [
      "Still to do",
      "rows",
      "lines",
      5,
      ["compensations", "compensations", "compensated"],
      ["events", "events", "soft"],
      ["dead letters", "dead letters", "failed"],
    ],
  ];
  return rows.map(([title, unit, shape, least, ...series]) => ({
    title,
    unit: [unit, shape === "log" ? "log" : ""].filter((word) => word !== "").join(", "),
    shape,
    least,
    series: series.map(([name, label, color, dashed]) => ({ name, label, color, dashed: dashed !== undefined })),
  }));
}
