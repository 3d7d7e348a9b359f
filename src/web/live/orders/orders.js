/** @import { SampledOrder, Tick } from "../../../admin/live/messages.ts" */
/** @import { ServerClock } from "../server-clock.js" */
import { ask, Refused } from "../admin-api.js";
import { byId, element, linkButton } from "../elements.js";
import { localTime, short, timeOfDay } from "../words.js";
import { badge, timeline } from "./timeline.js";

const ROWS = 14;
// Nobody can read more new rows at one time.
const NEW_ROWS = 5;
const PAGE = 50;

/**
 * The panel of the orders: those that end now, or those of the journal with a chosen status.
 *
 * @param {ServerClock} clock
 * @param {(orderId: string) => void} open
 */
export function orders(clock, open) {
  const rows = byId("orders-rows", HTMLTableSectionElement);
  const hint = byId("orders-hint", HTMLElement);
  const status = byId("orders-status", HTMLSelectElement);
  // It stays the same, so that the focus stays on it.
  const more = element("button", { type: "button", hidden: true });
  const said = element("span");
  more.addEventListener("click", () => void list());
  byId("orders-more", HTMLElement).append(more, said);
  /** Orders for the next rows, the newest first; bounded. @type {SampledOrder[]} */
  let waiting = [];
  let ticks = 0;
  let asked = 0;
  /** Of the next page of the journal. @type {string | undefined} */
  let cursor;
  /** @type {readonly string[]} */
  let steps = [];
  /** While the pointer or the focus is on the rows, they must not move. */
  const isHeld = () => rows.matches(":hover") || rows.contains(document.activeElement);

  byId("orders-search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const id = byId("orders-id", HTMLInputElement).value.trim();
    if (id !== "") open(id);
  });
  status.addEventListener("change", () => {
    rows.replaceChildren();
    cursor = undefined;
    offer("", "");
    asked++;
    if (status.value === "live") showHint();
    else void list();
  });
  showHint();

  return {
    /** @param {readonly string[]} names */
    hello(names) {
      steps = names;
    },
    /** @param {Tick} tick */
    add(tick) {
      waiting = [...tick.orders.toReversed(), ...waiting].slice(0, ROWS);
      if (ticks++ % 2 !== 0 || status.value !== "live") return;
      showHint();
      if (isHeld() || waiting.length === 0) return;
      rows.prepend(...waiting.slice(0, ticks < 4 ? ROWS : NEW_ROWS).map((order) => liveRow(order)));
      waiting = [];
      while (rows.rows.length > ROWS) rows.deleteRow(-1);
    },
  };

  function showHint() {
    const text =
      status.value !== "live"
        ? "from the journal, newest first"
        : isHeld()
          ? "the rows stay while you point at them"
          : "some of those that end";
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
    return linkButton(id, () => open(id));
  }

  async function list() {
    const mine = ++asked;
    showHint();
    try {
      const page = await ask(`/orders?${new URLSearchParams({ status: status.value, limit: String(PAGE), ...(cursor && { cursor }) })}`);
      if (mine !== asked) return;
      for (const order of page.orders) rows.append(journalRow(order));
      cursor = page.next_cursor;
      offer(cursor === undefined ? "" : "More", rows.rows.length === 0 ? "There is none." : "");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === asked) offer("Try again", ` ${error.message}`);
    }
  }

  /** @param {string} text of the button; empty where there is none @param {string} words beside it */
  function offer(text, words) {
    more.textContent = text;
    more.hidden = text === "";
    said.textContent = words;
  }

  /** @param {{ order_id: string, status: string, error?: string, accepted_at: string, ended_at?: string }} order */
  function journalRow({ order_id, status: how, error, accepted_at, ended_at }) {
    const ms = ended_at === undefined ? undefined : Date.parse(ended_at) - Date.parse(accepted_at);
    return element(
      "tr",
      {},
      element("td", { class: "when" }, ended_at === undefined ? `since ${localTime(accepted_at)}` : localTime(ended_at)),
      element("td", { class: "id" }, idButton(order_id)),
      element("td", {}, badge(error ?? how)),
      element("td", { class: "line" }, how === "compensating" ? "being compensated" : ""),
      element("td", { class: "number" }, short(ms)),
    );
  }
}
