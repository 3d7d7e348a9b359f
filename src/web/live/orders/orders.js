/** @import { SampledOrder, Tick } from "../../../admin/live/messages.ts" */
/** @import { ServerClock } from "../server-clock.js" */
import { ask, Refused } from "../admin-api.js";
import { byId, element, svgElement } from "../elements.js";
import { duration, short, spoken, timeOfDay } from "../words.js";

const ROWS = 14;
// More new rows at one time nobody can read.
const NEW_ROWS = 5;
const LINE_WIDTH = 180;
const ROW_HEIGHT = 5;
const PAGE = 50;

/**
 * Orders as they come, or those that somebody looked for.
 *
 * @param {ServerClock} clock
 * @param {(orderId: string) => void} open
 */
export function orders(clock, open) {
  const rows = byId("orders-rows", HTMLTableSectionElement);
  const hint = byId("orders-hint", HTMLElement);
  const status = byId("orders-status", HTMLSelectElement);
  const more = byId("orders-more", HTMLElement);
  /** Newest first; bounded. @type {SampledOrder[]} */
  let waiting = [];
  let ticks = 0;
  let asked = 0;
  /** @type {readonly string[]} */
  let steps = [];
  /** Rows must not move from under a finger. */
  const isHeld = () => rows.matches(":hover") || rows.contains(document.activeElement);

  byId("orders-search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const id = byId("orders-id", HTMLInputElement).value.trim();
    if (id !== "") open(id);
  });
  status.addEventListener("change", () => {
    rows.replaceChildren();
    more.replaceChildren();
    asked++;
    if (status.value === "live") say();
    else void list();
  });
  say();

  return {
    /** @param {readonly string[]} names */
    hello(names) {
      steps = names;
    },
    /** @param {Tick} tick */
    add(tick) {
      waiting = [...tick.orders.toReversed(), ...waiting].slice(0, ROWS);
      if (ticks++ % 2 !== 0 || status.value !== "live") return;
      say();
      if (isHeld() || waiting.length === 0) return;
      rows.prepend(...waiting.slice(0, ticks < 4 ? ROWS : NEW_ROWS).map((order) => liveRow(order)));
      waiting = [];
      while (rows.rows.length > ROWS) rows.deleteRow(-1);
    },
  };

  function say() {
    const text =
      status.value !== "live" ? "from the journal, newest first" : isHeld() ? "held while you point at them" : "some of those that end";
    if (hint.textContent !== text) hint.textContent = text;
  }

  /** @param {SampledOrder} order */
  function liveRow(order) {
    const { id, kind, stored, started, attempt } = order;
    return element(
      "tr",
      {},
      element("td", { class: "when" }, timeOfDay(clock.date(stored))),
      element("td", { class: "id" }, idButton(id), attempt > 1 ? element("span", { class: "attempt" }, ` attempt ${attempt}`) : ""),
      element("td", {}, badge(kind)),
      element("td", { class: "line" }, timeline(order, steps)),
      element("td", { class: "number" }, short(stored - started)),
    );
  }

  /** @param {string} id */
  function idButton(id) {
    const button = element("button", { type: "button", class: "link-button" }, id);
    button.addEventListener("click", () => open(id));
    return button;
  }

  /** @param {string} [cursor] */
  async function list(cursor) {
    const mine = ++asked;
    say();
    try {
      const page = await ask(`/orders?${new URLSearchParams({ status: status.value, limit: String(PAGE), ...(cursor && { cursor }) })}`);
      if (mine !== asked) return;
      for (const order of page.orders) rows.append(journalRow(order));
      if (rows.rows.length === 0) more.replaceChildren("There is none.");
      else if (page.next_cursor === undefined) more.replaceChildren();
      else {
        const button = element("button", { type: "button" }, "More");
        button.addEventListener("click", () => void list(page.next_cursor));
        more.replaceChildren(button);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === asked) more.replaceChildren(error.message);
    }
  }

  /** @param {{ order_id: string, status: string, error?: string, accepted_at: string, ended_at?: string }} order */
  function journalRow({ order_id, status: how, error, accepted_at, ended_at }) {
    const ms = ended_at === undefined ? undefined : Date.parse(ended_at) - Date.parse(accepted_at);
    return element(
      "tr",
      {},
      element("td", { class: "when" }, timeOfDay(new Date(ended_at ?? accepted_at))),
      element("td", { class: "id" }, idButton(order_id)),
      element("td", {}, badge(error ?? how)),
      element("td", { class: "line" }, how === "compensating" ? "being compensated" : ""),
      element("td", { class: "number" }, short(ms)),
    );
  }
}

/**
 * How an order ended, told by a word and not by its colour alone.
 *
 * @param {string} kind
 */
export function badge(kind) {
  return element("span", { class: `badge ${kind === "ok" ? "good" : kind === "running" ? "plain" : "bad"}` }, spoken(kind));
}

/** @param {SampledOrder} order @param {readonly string[]} steps */
function timeline({ started, stored, steps: ends, canceled }, steps) {
  const wholeMs = Math.max(stored - started, 0.001);
  const x = (/** @type {number} */ at) => Math.max(0, Math.min(LINE_WIDTH, ((at - started) / wholeMs) * LINE_WIDTH));
  const words = ends.map(([status, , from, to, compensated], index) => {
    const ran = status === "canceled" && from === null ? "never began" : `${status} after ${duration(Math.max(0, to - started))}`;
    return `${steps[index]} ${ran}${compensated === null ? "" : `, compensation ${compensated}`}`;
  });
  const label = words.join("; ");
  const lines = ends.flatMap(([status, , from, to, compensated], index) => {
    const y = index * (ROW_HEIGHT + 2);
    const left = x(from ?? to);
    const width = Math.max(2, x(to) - left);
    const bar = svgElement("rect", { x: left, y, width, height: ROW_HEIGHT, class: `step ${steps[index]} ${status}` });
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
  if (canceled !== undefined) lines.push(svgElement("rect", { x: x(canceled[1]), y: 0, width: 1, height: 19, class: "cancel" }));
  const title = svgElement("title");
  title.textContent = label;
  return svgElement("svg", { viewBox: `0 0 ${LINE_WIDTH} 19`, class: "timeline", role: "img", "aria-label": label }, title, ...lines);
}
