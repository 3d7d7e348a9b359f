import { stepColor } from "../palette.js";

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} unit
 * @property {Shape} shape
 * @property {number} least the scale ends no lower than here, so that noise does not look like an event; a logarithmic one begins no higher than at a tenth of it
 * @property {readonly Series[]} series
 *
 * @typedef {"lines" | "stacked" | "log" | "states"} Shape
 *
 * @typedef {object} Series
 * @property {string} name as `History` has it
 * @property {string} label
 * @property {string} color of the palette
 *
 * @typedef {readonly [name: string, label: string, color: string]} SeriesRow
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
      "per second",
      "stacked",
      10,
      ["ended ok", "ok", "ok"],
      ["ended payment_declined", "declined", colorOfStep("payment")],
      ["ended vendor_unavailable", "vendor unavailable", colorOfStep("vendor")],
      ["ended no_courier", "no courier", colorOfStep("courier")],
      ["ended timeout", "timeout", "warn"],
      ["ended canceled", "canceled", "soft"],
      ["ended other", "other", "failed"],
      ["refused", "refused", "faint"],
    ],
    ["Time to answer", "ms", "log", 1_000, ["order p50", "p50", "ok"], ["order p99", "p99", "ok"]],
    ["Cancel to stop", "ms", "log", 10, ["cancel p50", "p50", "failed"], ["cancel p99", "p99", "failed"]],
    ["Orders in flight", "orders", "lines", 10, ["in flight", "most", "ok"]],
    ["Steps running", "steps", "lines", 10, ["steps running", "most", "soft"]],
    ["Waiting for capacity", "steps", "lines", 10, ...ofEachStep("waiting")],
    ["Capacity in use", "steps", "lines", 10, ...ofEachStep("in use")],
    ["Event loop late", "ms", "lines", 50, ["loop delay", "longest", "warn"]],
    ["Event loop busy", "%", "lines", 100, ["loop busy", "most", "soft"]],
    ["Threads", "", "lines", 4, ["threads", "alive", "ok"], ["replaced", "replaced", "failed"]],
    ["Journal", "per second", "lines", 10, ["requests", "requests", "compensated"], ["commits", "commits", "soft"]],
    ["Requests per commit", "", "lines", 4, ["commit size", "most", "compensated"]],
    ["Time of a commit", "ms", "log", 100, ["commit ms", "longest", "soft"]],
    ["Circuits", "closed: calls pass", "states", 2, ...ofEachStep("circuit")],
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
    unit,
    shape,
    least,
    series: series.map(([name, label, color]) => ({ name, label, color })),
  }));
}
