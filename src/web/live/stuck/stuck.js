/** @import { Tick } from "../../../admin/live/messages.ts" */
import { byId, element } from "../elements.js";
import { age, counted } from "../words.js";
import { actions, outputBeside } from "./action.js";
import { journalList, READ_EVERY_MS } from "./journal-list.js";
import { COMPENSATION_HEADINGS, compensationRow, HELD_HEADINGS, heldRow, LETTER_HEADINGS, letterRow } from "./rows.js";

/** What the panel says of each state of the receiver. @type {Readonly<Record<string, string>>} */
const RECEIVER_STATES = {
  none: "none is configured (WEBHOOK_URL).",
  up: "up.",
  down: "down; it is tried again by itself, and nothing is lost.",
  disabled: "disabled: it answered 410. Nothing is sent until you say so.",
};

const HELD_HINT =
  "Confirmed, an order is compensated, and may be sent again. One that was running may have been placed since the backup: ask its provider " +
  "before. POST /restore/confirm confirms all.";

/**
 * The panel of an operator on duty: what is not compensated, what was not delivered, and the buttons to mend it.
 *
 * @param {(text: string) => void} announce
 * @param {(orderId: string) => void} openOrder
 */
export function stuck(announce, openOrder) {
  const hint = byId("stuck-hint", HTMLElement);
  const act = actions(announce, () => void read());
  const compensations = journalList("Not compensated", "/compensations", "compensations", COMPENSATION_HEADINGS, (item) =>
    compensationRow(item, act, openOrder),
  );
  const letters = journalList("Dead letters", "/dead-letters", "dead_letters", LETTER_HEADINGS, (item) => letterRow(item, act, openOrder));
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
  const receiver = element("p", { id: "receiver" });
  const receiverOutput = outputBeside();
  byId("stuck-body", HTMLElement).append(
    held.root,
    compensations.root,
    letters.root,
    element("section", { class: "sub" }, element("h3", {}, "Receiver of events"), receiver, receiverOutput),
    element("section", { class: "sub" }, element("h3", {}, "Backup"), backupForm()),
  );
  let countsBefore = "";
  let receiverBefore = "";
  let readMs = 0;
  let isReading = false;

  return {
    /** @param {Tick} tick */
    add({ backlog, receiver: state }) {
      if (backlog === null) {
        hint.textContent = "the journal cannot be read now";
        return;
      }
      const { events, dead_letters } = backlog;
      const waiting = Object.values(backlog.compensations);
      const count = waiting.reduce((sum, one) => sum + one.count, 0);
      const oldest_s = Math.max(0, ...waiting.map((one) => one.oldest_s));
      const text = [waits("compensation", { count, oldest_s }), waits("event", events), counted(dead_letters, "dead letter")].join(" · ");
      if (hint.textContent !== text) hint.textContent = text;
      byId("stuck", HTMLElement).classList.toggle("alarm", count > 0 || dead_letters > 0 || state === "disabled");
      showReceiver(state);
      const counts = `${count} ${dead_letters}`;
      const isDue = count + dead_letters > 0 && performance.now() - readMs >= READ_EVERY_MS;
      if (counts !== countsBefore || isDue) void read(counts);
    },
  };

  /** @param {string} [counts] of which the lists are */
  async function read(counts) {
    if (isReading) return;
    isReading = true;
    readMs = performance.now();
    try {
      await Promise.all([held.read(), compensations.read(), letters.read()]);
      held.root.hidden = held.isEmpty;
      if (counts !== undefined) countsBefore = counts;
    } finally {
      isReading = false;
    }
  }

  /** @param {string} state */
  function showReceiver(state) {
    if (state === receiverBefore) return;
    receiverBefore = state;
    receiver.replaceChildren(RECEIVER_STATES[state] ?? state);
    if (state !== "disabled") return;
    const button = element("button", { type: "button" }, "Resume");
    button.addEventListener("click", () => act(button, receiverOutput, "/webhooks/resume", {}, ({ receiver: now }) => `resumed: ${now}`));
    receiver.append(" ", button);
  }

  function backupForm() {
    const name = element("input", { name: "name", required: true, autocomplete: "off", spellcheck: "false", placeholder: "monday.db" });
    const button = element("button", { type: "submit" }, "Back up");
    const output = outputBeside();
    const form = element("form", { class: "inline" }, element("label", {}, "File name ", name), button, output);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void act(button, output, "/backup", { name: name.value }, ({ bytes, duration_ms }) => `${bytes} bytes in ${duration_ms} ms`);
    });
    return form;
  }
}

/** @param {string} what @param {{ readonly count: number, readonly oldest_s: number }} waiting */
function waits(what, { count, oldest_s }) {
  if (count === 0) return `no ${what} waits`;
  return `${counted(count, `${what} waits`, `${what}s wait`)}, the oldest for ${age(oldest_s)}`;
}
