/** @import { Hello, Tick } from "../../admin/live/messages.ts" */
/** @import { LinkState } from "./feed.js" */
import { ask } from "./admin-api.js";
import { byId } from "./elements.js";
import { WINDOW_MS } from "./threads/lane-model.js";
import { age, duration, short } from "./words.js";

// When a process dies under a button, both announce something. The second announcement would hide the first, so they are joined.
const TOGETHER_MS = 3_000;
// A panel of which only a line or two are to be seen is not in sight.
const SEEN = { rootMargin: "-10% 0px" };

/** The header: the process, the state of the connection and the figures that matter most. */
export function header() {
  const link = byId("link", HTMLElement);
  const linkText = byId("link-text", HTMLElement);
  const values = byId("glance", HTMLElement).querySelectorAll("dd");
  /** What the ticks of the last ten seconds say of times. @type {{ at: number, orderMs: number | undefined, cancelMs: number | undefined }[]} */
  let recent = [];
  const alarm = byId("alarm", HTMLAnchorElement);
  let process = "";
  let lostMs = 0;
  let newsMs = 0;
  setInterval(showAge, 1_000);
  new IntersectionObserver((seen) => document.body.classList.toggle("sees-stuck", seen.at(-1)?.isIntersecting === true), SEEN).observe(
    byId("stuck", HTMLElement),
  );

  return {
    /** @param {Hello} hello */
    hello({ pid, node, api_port }) {
      process = node === undefined ? `process ${pid}` : `node ${node}, process ${pid}`;
      if (node !== undefined) void nameNodes(pid, node);
      if (api_port === undefined) return;
      const docs = byId("docs", HTMLAnchorElement);
      docs.href = `${location.protocol}//${location.hostname}:${api_port}/docs`;
      docs.hidden = false;
    },

    /**
     * @param {Tick} tick
     * @param {boolean} isShown its figures are shown, and not only remembered
     * @param {() => { ended: number, refused: number }} shares how many orders ended and were refused in the last ten seconds
     */
    add(tick, isShown, shares) {
      newsMs = performance.now();
      recent = recent.filter(({ at }) => at <= tick.now && tick.now - at <= WINDOW_MS);
      recent.push({ at: tick.now, orderMs: tick.order_ms?.p99, cancelMs: tick.cancel_ms?.p99 });
      if (!isShown) return;
      const { ended, refused } = shares();
      const texts = [
        short(ended / 10),
        short(refused),
        worst(recent.map(({ orderMs }) => orderMs)),
        worst(recent.map(({ cancelMs }) => cancelMs)),
        short(tick.in_flight),
        `${tick.threads.length}${tick.replaced_total > 0 ? `, ${short(tick.replaced_total)} replaced so far` : ""}`,
      ];
      for (const [index, value] of values.entries()) if (value.textContent !== texts[index]) value.textContent = texts[index] ?? "";
    },

    /** @param {string} text what is stuck; empty where nothing is */
    setAlarm(text) {
      if (alarm.textContent === text) return;
      alarm.textContent = text;
      alarm.hidden = text === "";
      document.body.classList.toggle("stuck", text !== "");
    },

    /** @param {LinkState} state */
    setState(state) {
      link.dataset.state = state;
      // Figures that are not of now must not look as if they were.
      document.body.classList.toggle("dimmed", newsMs > 0 && state !== "live");
      if (state === "live") {
        linkText.textContent = `live, ${process}`;
        if (lostMs > 0) announce(`live again after ${age((performance.now() - lostMs) / 1_000)}`);
        lostMs = 0;
        return;
      }
      if (lostMs === 0) lostMs = performance.now();
      showAge();
      if (state === "lost" && process !== "") announce("the connection is lost; trying again");
    },
  };

  function showAge() {
    if (link.dataset.state === "live" || link.dataset.state === "connecting") return;
    const last = newsMs === 0 ? "" : `, last news ${age((performance.now() - newsMs) / 1_000)} ago`;
    linkText.textContent = link.dataset.state === "silent" ? `no news${last}` : `no connection${last}; trying again`;
  }

  /** @param {number} pid @param {string} node */
  async function nameNodes(pid, node) {
    const { nodes } = await ask("/nodes").catch(() => ({ nodes: [] }));
    const others = nodes.map((/** @type {{ name: string }} */ { name }) => name).filter((/** @type {string} */ name) => name !== node);
    if (others.length > 0) process = `node ${node} (others: ${others.join(", ")}), process ${pid}`;
    if (link.dataset.state === "live") linkText.textContent = `live, ${process}`;
  }
}

/** @param {readonly (number | undefined)[]} times */
function worst(times) {
  const known = times.filter((ms) => ms !== undefined);
  return known.length === 0 ? "–" : duration(Math.max(...known));
}

/** What is announced together. @type {{ text: string, atMs: number }[]} */
let said = [];

/** Has a screen reader say what happens rarely: that the connection is lost, and what became of a button's work. @param {string} text */
export function announce(text) {
  const nowMs = performance.now();
  said = said.filter(({ atMs }) => nowMs - atMs < TOGETHER_MS);
  if (said.some((one) => one.text === text)) return;
  said.push({ text, atMs: nowMs });
  byId("announce", HTMLElement).textContent = said.map((one) => one.text).join("; ");
}
