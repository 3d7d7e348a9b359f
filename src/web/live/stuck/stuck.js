/** @import { Hello, Tick } from "../../../admin/live/messages.ts" */
/** @import { ServerClock } from "../server-clock.js" */
import { byId, element } from "../elements.js";
import { age, counted, short } from "../words.js";
import { actions } from "./action.js";
import { journalList, READ_EVERY_MS } from "./journal-list.js";
import { retryAll } from "./retry-all.js";
import { COMPENSATION_HEADINGS, compensationRow, HELD_HEADINGS, heldRow, LETTER_HEADINGS, letterRow } from "./rows.js";

// What waits for less is most likely being tried for the first time.
const STUCK_S = 3;

const LETTERS_HINT = "Events that the receiver had not taken after 24 hours. Nobody sends them again but you.";
const HELD_HINT =
  "What the backup had open; nobody knows what became of it since, so nothing of it is compensated. Confirmed, an order is compensated, and may be sent again. One that was running may have been placed since the backup: ask its provider " +
  "before. POST /restore/confirm confirms all.";

/**
 * The panel of an operator on duty: what is not compensated, what was not delivered, and the buttons to mend it.
 *
 * @param {(text: string) => void} announce
 * @param {(orderId: string) => void} openOrder
 * @param {ServerClock} clock
 */
export function stuck(announce, openOrder, clock) {
  const hint = byId("stuck-hint", HTMLElement);
  const act = actions(announce, () => void read());
  /** The steps whose compensation gives the amount back. @type {readonly string[]} */
  let refunding = [];
  const compensations = journalList("Not compensated", "/compensations", "compensations", COMPENSATION_HEADINGS, (item) =>
    compensationRow(item, act, openOrder, refunding.includes(item.step), clock),
  );
  const letters = journalList("Dead letters", "/dead-letters", "dead_letters", LETTER_HEADINGS, (item) =>
    letterRow(item, act, openOrder, clock),
  );
  const held = journalList(
    "Held since a restore",
    "/restore",
    "held",
    HELD_HEADINGS,
    (item) => heldRow(item, act, openOrder),
    ({ order_id, attempt }) => `${attempt} ${order_id}`,
  );
  held.root.hidden = true;
  held.root.firstElementChild?.after(element("p", { class: "hint" }, HELD_HINT));
  letters.root.firstElementChild?.after(element("p", { class: "hint explains" }, LETTERS_HINT));
  compensations.root.firstElementChild?.after(retryAll(announce, () => void read()));
  byId("stuck-body", HTMLElement).append(held.root, compensations.root, letters.root);
  let countsBefore = "";
  let readMs = 0;
  /** Whether the latest look at one of the lists was refused. */
  let wasRefused = false;
  /** How many compensations waited at the ticks of the last three seconds. @type {{ at: number, count: number }[]} */
  let waited = [];
  /** @type {Promise<boolean[]> | undefined} */
  let reading;

  return {
    /** @param {Hello} hello */
    hello(hello) {
      refunding = hello.refunding;
    },
    /** Resolves when the lists are no longer being read. */
    settled: async () => {
      await reading;
    },
    /** Gives what is stuck, in a few words; an empty text where nothing is. @param {Tick} tick */
    add({ now, backlog, receiver: state }) {
      if (backlog === null) {
        hint.textContent = "the journal cannot be read now";
        return "the journal cannot be read";
      }
      const { events, dead_letters } = backlog;
      const waiting = Object.values(backlog.compensations);
      const count = waiting.reduce((sum, one) => sum + one.count, 0);
      const oldest_s = Math.max(0, ...waiting.map((one) => one.oldest_s));
      const text = [
        waits("compensation", { count, oldest_s }),
        waits("event", events),
        dead_letters === 0 ? "no dead letters" : counted(dead_letters, "dead letter"),
        ...(state === "disabled" ? ["no event is sent: resume below"] : []),
      ].join(" · ");
      if (hint.textContent !== text) hint.textContent = text;
      const counts = `${count} ${dead_letters}`;
      const isDue = (count + dead_letters > 0 || wasRefused) && performance.now() - readMs >= READ_EVERY_MS;
      if (counts !== countsBefore || isDue) void read(counts);
      waited = waited.filter(({ at }) => at <= now && now - at <= STUCK_S * 1_000);
      waited.push({ at: now, count });
      // No more than waited at any of these moments can have waited all the time.
      const stuckNow = (oldest_s >= STUCK_S ? Math.min(...waited.map((one) => one.count)) : 0) + dead_letters;
      if (stuckNow > 0) return `${short(stuckNow)} stuck${count > 0 ? `, oldest ${age(oldest_s)}` : ""}`;
      return state === "disabled" ? "no events are sent" : "";
    },
  };

  /** @param {string} [counts] of which the lists are */
  async function read(counts) {
    if (reading !== undefined) return;
    readMs = performance.now();
    reading = Promise.all([held.read(), compensations.read(), letters.read()]);
    try {
      wasRefused = (await reading).includes(false);
      held.root.hidden = held.isEmpty;
      // "None" would contradict the count above it, which counts what is held too.
      compensations.root.hidden = compensations.isEmpty && !held.isEmpty;
      if (counts !== undefined) countsBefore = counts;
    } finally {
      reading = undefined;
    }
  }
}

/** @param {string} what @param {{ readonly count: number, readonly oldest_s: number }} waiting */
function waits(what, { count, oldest_s }) {
  if (count === 0) return `no ${what} waits`;
  return `${counted(count, `${what} waits`, `${what}s wait`)}, the oldest for ${age(oldest_s)}`;
}
