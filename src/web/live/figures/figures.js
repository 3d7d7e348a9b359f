/** @import { Tick } from "../../../admin/live/messages.ts" */
/** @import { Series } from "./plot.js" */
import { element, table } from "../elements.js";
import { drawWhileVisible } from "../frames.js";
import { age, bytes, short, spoken } from "../words.js";
import { History, SECONDS, STEPS } from "./history.js";
import { drawPlot } from "./plot.js";

/**
 * @typedef {object} Figure
 * @property {string} title
 * @property {string} unit
 * @property {"lines" | "stacked" | "log"} [shape]
 * @property {number} [least]
 * @property {readonly Series[]} series
 */

// A page that has just been opened shows a minute; the rest comes with time.
const LEAST_SPAN = 60;

/** @param {string} name */
const ofEachStep = (name) => STEPS.map((step) => ({ name: `${name} ${step}`, label: step, color: step }));

/** @type {readonly Figure[]} */
const FIGURES = [
  {
    title: "Orders",
    unit: "a second",
    shape: "stacked",
    least: 10,
    series: [
      { name: "ended ok", label: "ok", color: "ok" },
      { name: "ended payment_declined", label: "declined", color: "payment" },
      { name: "ended vendor_unavailable", label: "vendor", color: "vendor" },
      { name: "ended timeout", label: "timeout", color: "warn" },
      { name: "ended canceled", label: "canceled", color: "soft" },
      { name: "ended other", label: "other", color: "failed" },
    ],
  },
  {
    title: "Time to answer",
    unit: "ms, log",
    shape: "log",
    least: 100,
    series: [
      { name: "order p50", label: "p50", color: "ok" },
      { name: "order p99", label: "p99", color: "ok", dashed: true },
    ],
  },
  {
    title: "Cancel to stop",
    unit: "ms, log",
    shape: "log",
    least: 1,
    series: [
      { name: "cancel p50", label: "p50", color: "failed" },
      { name: "cancel p99", label: "p99", color: "failed", dashed: true },
    ],
  },
  {
    title: "In flight",
    unit: "",
    least: 10,
    series: [
      { name: "in flight", label: "orders", color: "ok" },
      { name: "steps running", label: "steps", color: "soft", dashed: true },
    ],
  },
  {
    title: "Waiting for capacity",
    unit: "steps",
    least: 10,
    series: ofEachStep("waiting"),
  },
  {
    title: "Capacity in use",
    unit: "steps, log",
    shape: "log",
    least: 10,
    series: ofEachStep("in use"),
  },
  {
    title: "Event loop",
    unit: "",
    least: 100,
    series: [
      { name: "loop delay", label: "late ms", color: "warn" },
      { name: "loop busy", label: "busy %", color: "soft", dashed: true },
    ],
  },
  {
    title: "Threads",
    unit: "",
    least: 4,
    series: [
      { name: "threads", label: "alive", color: "ok" },
      { name: "replaced", label: "replaced/s", color: "failed" },
    ],
  },
  {
    title: "Journal",
    unit: "a second",
    least: 10,
    series: [
      { name: "requests", label: "requests", color: "compensated" },
      { name: "commits", label: "commits", color: "soft", dashed: true },
    ],
  },
  {
    title: "A commit",
    unit: "log",
    shape: "log",
    least: 10,
    series: [
      { name: "commit size", label: "requests", color: "compensated" },
      { name: "commit ms", label: "ms", color: "soft", dashed: true },
    ],
  },
  {
    title: "Circuits",
    unit: "",
    least: 2,
    series: ofEachStep("circuit"),
  },
  {
    title: "Still to do",
    unit: "rows",
    least: 5,
    series: [
      { name: "compensations", label: "compensations", color: "compensated" },
      { name: "events", label: "events", color: "soft" },
      { name: "dead letters", label: "dead letters", color: "failed" },
    ],
  },
];

/**
 * The plots, and a table of the same.
 *
 * @param {HTMLElement} place
 * @param {HTMLElement} hint
 * @param {HTMLDetailsElement} details
 * @param {HTMLElement} tablePlace
 */
export function figures(place, hint, details, tablePlace) {
  const history = new History();
  let version = 0;
  /** Seconds before the latest one, of the point that somebody looks at. @type {number | undefined} */
  let pointed;
  const span = () => Math.max(LEAST_SPAN, history.length);
  /** @type {Tick | undefined} */
  let latest;
  const cards = FIGURES.map((figure) => card(figure));
  place.append(...cards.map(({ root }) => root));
  details.addEventListener("toggle", showTable);

  return {
    /** @param {Tick} tick */
    add(tick) {
      history.add(tick);
      latest = tick;
      version++;
      if (version % 4 === 0) {
        for (const { read } of cards) read();
        sayWhen();
        if (details.open) showTable();
      }
    },
    restarted: () => history.restarted(),
  };

  function sayWhen() {
    const text = pointed === undefined ? `the last ${age(span())}, a point a second` : `${pointed + 1} s ago`;
    if (hint.textContent !== text) hint.textContent = text;
  }

  /** @param {Figure} figure */
  function card({ title, unit, shape = "lines", least = 1, series }) {
    const canvas = element("canvas", { "aria-hidden": true });
    const values = series.map(({ label, color, dashed }) => {
      const value = element("b", {}, "–");
      const key = element("i", { class: `key ${color}${dashed === true ? " dashed" : ""}`, "aria-hidden": true });
      return { value, root: element("span", { class: "value" }, key, `${label} `, value) };
    });
    const root = element(
      "figure",
      {},
      element("figcaption", {}, element("span", { class: "title" }, title), unit === "" ? "" : element("span", { class: "unit" }, unit)),
      element("p", { class: "values" }, ...values.map((one) => one.root)),
      canvas,
    );
    canvas.addEventListener("pointermove", (event) => {
      pointed = Math.max(0, Math.min(span() - 1, Math.round((1 - event.offsetX / canvas.clientWidth) * (span() - 1))));
      for (const one of cards) one.read();
      sayWhen();
    });
    canvas.addEventListener("pointerleave", () => {
      pointed = undefined;
      for (const one of cards) one.read();
      sayWhen();
    });
    let drawn = "";
    drawWhileVisible(canvas, () => {
      // A point a second: in between there is nothing new.
      const now = `${Math.floor(version / 4)} ${pointed} ${canvas.clientWidth} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
      if (now === drawn) return;
      drawn = now;
      const lines = series.map(({ name, color, dashed }) => ({ color, dashed, values: history.of(name).subarray(-span()) }));
      drawPlot(canvas, lines, { shape, least, pointed: pointed === undefined ? undefined : span() - 1 - pointed });
    });
    return {
      root,
      read() {
        for (const [index, { name }] of series.entries()) {
          const past = history.of(name);
          const text = wordOf(name, past[SECONDS - 1 - (pointed ?? 0)]);
          const { value, root: key } = /** @type {typeof values[number]} */ (values[index]);
          if (value.textContent !== text) value.textContent = text;
          // Of many kinds only those that there are.
          if (series.length > 3) key.hidden = index > 0 && !past.some((count) => count > 0);
        }
      },
    };
  }

  function showTable() {
    const rows = FIGURES.flatMap(({ title, series }) =>
      series.map(({ name, label }) => {
        const values = history.of(name).filter((value) => !Number.isNaN(value));
        const mean = values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
        const most = values.length === 0 ? undefined : Math.max(...values);
        return [title, label, wordOf(name, values.at(-1)), short(mean), short(most)];
      }),
    );
    const backlog = latest?.backlog;
    if (backlog?.journal_bytes !== undefined) rows.push(["Journal", "size", bytes(backlog.journal_bytes), "", ""]);
    if (latest !== undefined) rows.push(["Events", "receiver", latest.receiver, "", ""]);
    tablePlace.replaceChildren(table("The last five minutes", ["figure", "of", "now", "mean", "most"], rows));
  }
}

/** @param {string} name @param {number | undefined} value */
function wordOf(name, value) {
  if (!name.startsWith("circuit ") || value === undefined || Number.isNaN(value)) return short(value);
  return spoken(["closed", "half_open", "open"][value] ?? "");
}
