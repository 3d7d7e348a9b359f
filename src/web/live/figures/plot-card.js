/** @import { History } from "./history.js" */
/** @import { Plot } from "./plots.js" */
import { element } from "../elements.js";
import { drawWhileVisible } from "../frames.js";
import { short, spoken } from "../words.js";
import { along } from "./axes.js";
import { SECONDS } from "./history.js";
import { drawPlot } from "./plot.js";

/**
 * A plot with its title and its values.
 *
 * @param {Plot} plot
 * @param {object} shown what all plots show at one time
 * @param {History} shown.history
 * @param {() => number} shown.span seconds
 * @param {() => number | undefined} shown.pointed seconds before the latest point, of the point under the pointer
 * @param {() => number} shown.version changes when there is something new to draw
 * @param {(pointed: number | undefined) => void} onPoint
 */
export function plotCard({ title, unit, shape, least, series }, { history, span, pointed, version }, onPoint) {
  const canvas = element("canvas", { "aria-hidden": true });
  const values = series.map(({ name, label, color }, index) => {
    const value = element("b", {}, "–");
    const key = element("i", { class: `key ${color}${shape === "stacked" ? "" : ` line dash-${index}`}`, "aria-hidden": true });
    return { name, value, root: element("span", { class: "value" }, key, `${label} `, value) };
  });
  const unitAndScale = shape === "log" ? `${unit}, log` : unit;
  const root = element(
    "figure",
    {},
    element("figcaption", {}, element("span", { class: "title" }, title), element("span", { class: "unit" }, unitAndScale)),
    element("p", { class: "values" }, ...values.map((one) => one.root)),
    canvas,
  );
  canvas.addEventListener("pointermove", (event) => {
    onPoint(span() - 1 - along(canvas.clientWidth, span()).nearest(event.offsetX));
  });
  canvas.addEventListener("pointerleave", () => onPoint(undefined));
  let drawn = "";
  drawWhileVisible(canvas, () => {
    const now = `${version()} ${pointed()} ${canvas.clientWidth} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
    if (now === drawn) return;
    drawn = now;
    const lines = series.map(({ name, color }) => ({ color, values: history.of(name).subarray(-span()) }));
    const before = pointed();
    drawPlot(canvas, lines, { shape, least, pointed: before === undefined ? undefined : span() - 1 - before });
  });
  return {
    root,
    /** Shows the values of the latest second, or of the one under the pointer. */
    read() {
      for (const [index, { name, value, root: key }] of values.entries()) {
        const past = history.of(name);
        const text = wordOf(name, past[SECONDS - 1 - (pointed() ?? 0)]);
        if (value.textContent !== text) value.textContent = text;
        // Where there are many kinds, only those that occurred are shown.
        if (series.length > 3) key.hidden = index > 0 && !past.some((count) => count > 0);
      }
    },
  };
}

/** A value of a series as text. @param {string} name @param {number | undefined} value */
export function wordOf(name, value) {
  if (!name.startsWith("circuit ") || value === undefined || Number.isNaN(value)) return short(value);
  return spoken(["closed", "half_open", "open"][value] ?? "");
}
