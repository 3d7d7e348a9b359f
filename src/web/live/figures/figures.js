/** @import { Tick } from "../../../admin/live/messages.ts" */
/** @import { Plot } from "./plots.js" */
import { byId, table } from "../elements.js";
import { age, bytes, short } from "../words.js";
import { History } from "./history.js";
import { plotCard, wordOf } from "./plot-card.js";
import { plotsOf } from "./plots.js";

// A page that has just been opened shows a minute; the rest comes with time.
const LEAST_SPAN = 60;

/** The panel of the figures: the plots, and a table of the same. */
export function figures() {
  const hint = byId("figures-hint", HTMLElement);
  const details = byId("figures-details", HTMLDetailsElement);
  const history = new History();
  /** Seconds before the latest point, of the point under the pointer. @type {number | undefined} */
  let pointed;
  let ticks = 0;
  const span = () => Math.max(LEAST_SPAN, history.length);
  // A point a second: on the ticks between there is nothing new.
  const shown = { history, span, pointed: () => pointed, version: () => Math.floor(ticks / 4) };
  /** @type {Tick | undefined} */
  let latest;
  /** @type {readonly Plot[]} */
  let plots = [];
  /** @type {readonly ReturnType<typeof plotCard>[]} */
  let cards = [];
  details.addEventListener("toggle", showTable);

  return {
    /** @param {readonly string[]} steps @param {boolean} isRestarted another process than before reports */
    hello(steps, isRestarted) {
      if (isRestarted) history.restarted();
      if (plots.length > 0) return;
      plots = plotsOf(steps);
      cards = plots.map((plot) => plotCard(plot, shown, point));
      byId("plots", HTMLElement).append(...cards.map(({ root }) => root));
    },
    /** @param {Tick} tick */
    add(tick) {
      history.add(tick);
      latest = tick;
      if (++ticks % 4 !== 0 && ticks > 1) return;
      read();
      if (details.open) showTable();
    },
  };

  /** @param {number | undefined} secondsAgo */
  function point(secondsAgo) {
    pointed = secondsAgo;
    read();
  }

  function read() {
    for (const card of cards) card.read();
    const text =
      pointed === undefined ? `the last ${age(span())}, a point per second; numbers are of the last full second` : `${pointed + 1} s ago`;
    if (hint.textContent !== text) hint.textContent = text;
  }

  function showTable() {
    const rows = plots.flatMap(({ title, unit, shape, series }) =>
      series.map(({ name, label }) => {
        const values = history.of(name).filter((value) => !Number.isNaN(value));
        const mean = values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
        const most = values.length === 0 ? undefined : Math.max(...values);
        return [title, label, wordOf(name, values.at(-1)), shape === "states" ? "–" : short(mean), wordOf(name, most), unit];
      }),
    );
    const backlog = latest?.backlog;
    if (backlog) rows.push(["Journal", "size", bytes(backlog.journal_bytes), "", "", ""]);
    if (latest !== undefined) rows.push(["Events", "receiver", latest.receiver, "", "", ""]);
    const headings = ["figure", "of", "now", "mean", "most", "unit"];
    byId("figures-table", HTMLElement).replaceChildren(table("The last five minutes", headings, rows));
  }
}
