/** @import { Hello, Tick } from "../../admin/live/messages.ts" */
import { ask } from "./admin-api.js";
import { byId } from "./elements.js";
import { counted, short } from "./words.js";

// Most are compensated within a second. Where a provider is down it takes long, and looks are work for the journal.
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
// The most that the admin listener gives at one time.
const LIMIT = 500;

/**
 * A line below the header: how many orders the end of the last process interrupted, and how many of these are compensated.
 *
 * @param {(text: string) => void} announce
 */
export function recovery(announce) {
  const line = byId("recovered", HTMLElement);
  let startedMs = 0;
  let interrupted = 0;

  return {
    /** @param {Hello} hello */
    hello({ started_since_1970_ms }) {
      if (started_since_1970_ms === startedMs) return;
      startedMs = started_since_1970_ms;
      interrupted = 0;
      line.hidden = true;
    },
    /** @param {Tick} tick */
    add(tick) {
      if (tick.interrupted === interrupted) return;
      interrupted = tick.interrupted;
      line.hidden = false;
      line.textContent = `${counted(interrupted, "order was", "orders were")} interrupted by the end of the last process`;
      void follow(startedMs);
    },
  };

  /** Looks until all of them are compensated, or another process is there. @param {number} ofMs */
  async function follow(ofMs) {
    for (
      let [left, pauseMs] = [interrupted, FIRST_PAUSE_MS];
      left > 0 && ofMs === startedMs;
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
    ) {
      left = await compensating(ofMs).catch(() => left);
      if (ofMs !== startedMs) return;
      const done = left >= LIMIT ? "being compensated" : `${short(Math.max(0, interrupted - left))} compensated`;
      const text = `The last process ended in the midst of work: ${counted(interrupted, "order")} interrupted, ${done}`;
      line.textContent = text;
      if (left === 0) announce(text);
      else await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** How many orders of an earlier process are not wholly compensated, of those that it did not live to end. @param {number} untilMs */
async function compensating(untilMs) {
  const { orders } = await ask(`/orders?${new URLSearchParams({ status: "compensating", until: String(untilMs), limit: String(LIMIT) })}`);
  return orders.filter((/** @type {{ error?: string }} */ { error }) => error === "internal").length;
}
