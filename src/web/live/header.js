/** @import { Hello, Tick } from "../../admin/live/messages.ts" */
/** @import { LinkState } from "./feed.js" */
import { byId, element } from "./elements.js";
import { WINDOW_MS } from "./threads/lane-model.js";
import { age, duration, short } from "./words.js";

const NAMES = ["orders/s over 10 s", "p99", "in flight", "cancel p50", "threads"];
// When a process dies under a button, both announce something. The second announcement would hide the first, so they are joined.
const TOGETHER_MS = 3_000;

/** The header: the process, the state of the connection and the figures that matter most. */
export function header() {
  const link = byId("link", HTMLElement);
  const linkText = byId("link-text", HTMLElement);
  const values = NAMES.map(() => element("dd", {}, "–"));
  byId("glance", HTMLElement).append(
    ...NAMES.map((name, index) => element("div", {}, element("dt", {}, name), /** @type {HTMLElement} */ (values[index]))),
  );
  // The latest known values; they are shown for as long as the lanes show their orders.
  const latest = { p99: { ms: Number.NaN, at: 0 }, cancel: { ms: Number.NaN, at: 0 } };
  let process = "";
  let lostMs = 0;

  return {
    /** @param {Hello} hello */
    hello({ pid, node }) {
      process = node === undefined ? `process ${pid}` : `node ${node}, process ${pid}`;
    },

    /**
     * @param {Tick} tick
     * @param {boolean} isShown its figures are shown, and not only remembered
     * @param {() => number} ended how many orders ended in the last ten seconds
     */
    add(tick, isShown, ended) {
      if (tick.order_ms !== null) latest.p99 = { ms: tick.order_ms.p99, at: tick.now };
      if (tick.cancel_ms !== null) latest.cancel = { ms: tick.cancel_ms.p50, at: tick.now };
      if (!isShown) return;
      const recent = (/** @type {{ ms: number, at: number }} */ { ms, at }) =>
        Number.isNaN(ms) || tick.now < at || tick.now - at > WINDOW_MS ? "–" : duration(ms);
      const texts = [
        short(ended() / 10),
        recent(latest.p99),
        short(tick.in_flight),
        recent(latest.cancel),
        `${tick.threads.length}${tick.replaced_total > 0 ? `, ${short(tick.replaced_total)} replaced so far` : ""}`,
      ];
      for (const [index, value] of values.entries()) if (value.textContent !== texts[index]) value.textContent = texts[index] ?? "";
    },

    /** @param {LinkState} state */
    setState(state) {
      link.dataset.state = state;
      if (state === "live") {
        linkText.textContent = `live, ${process}`;
        if (lostMs > 0) announce(`live again after ${age((performance.now() - lostMs) / 1_000)}`);
        lostMs = 0;
        return;
      }
      if (lostMs === 0) lostMs = performance.now();
      linkText.textContent = state === "silent" ? "no news for three seconds" : "no connection; trying again";
      if (state === "lost" && process !== "") announce("the connection is lost; trying again");
    },
  };
}

let announcedMs = Number.NEGATIVE_INFINITY;

/** Has a screen reader say what happens rarely: that the connection is lost, and what became of a button's work. @param {string} text */
export function announce(text) {
  const announcement = byId("announce", HTMLElement);
  const before = announcement.textContent;
  const isTogether = performance.now() - announcedMs < TOGETHER_MS;
  announcedMs = performance.now();
  if (!isTogether) announcement.textContent = text;
  else if (!before.includes(text)) announcement.textContent = `${before}; ${text}`;
}
