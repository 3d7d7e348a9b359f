/** @import { Act } from "./action.js" */
/** @import { Row } from "./journal-list.js" */
/** @import { ServerClock } from "../server-clock.js" */
import { element, linkButton } from "../elements.js";
import { age, money } from "../words.js";
import { outputBeside } from "./action.js";
import { NUMBERS, READ_EVERY_MS } from "./journal-list.js";

const CELLS = ["Step", "Owed", "Waits for", "Tries", "Last answer", "Next try"];
/** What holds one back that is due. @type {Readonly<Record<string, string>>} */
const HELD_BACK = { probing: "after a probe of the provider", bulkhead: "when a place is free" };
export const COMPENSATION_HEADINGS = ["Order", ...CELLS, "What to do"];
export const HELD_HEADINGS = ["Order", "Amount", "In the backup it", "Held", "What to do"];
export const LETTER_HEADINGS = ["Order", "Event", "Given up", "Why", "What to do"];

/**
 * When a compensation is tried next, in words. One that is due and held back is not tried now.
 *
 * @param {string | undefined} at ISO 8601; none while it is tried
 * @param {string | undefined} heldBackBy
 * @param {number} nowMs
 */
export function nextTry(at, heldBackBy, nowMs) {
  const inSeconds = at === undefined ? undefined : (Date.parse(at) - nowMs) / 1_000;
  return HELD_BACK[heldBackBy ?? ""] ?? (inSeconds === undefined ? "–" : inSeconds < 1 ? "now" : `in ${age(inSeconds)}`);
}

/**
 * A compensation that is pending, with buttons to retry it and to settle it by hand.
 *
 * @param {any} first
 * @param {Act} act
 * @param {(orderId: string) => void} openOrder
 * @param {boolean} isRefund it gives the amount back
 * @param {ServerClock} clock
 * @returns {Row}
 */
export function compensationRow(first, act, openOrder, isRefund, clock) {
  const path = `/compensations/${first.id}`;
  const name = `${first.step} of ${first.order_id}`;
  const cells = CELLS.map((label) => element("td", { "data-label": label, class: NUMBERS.has(label) && "number" }));
  const output = outputBeside();
  const retry = element("button", { type: "button", "aria-label": `Retry ${name}` }, "Retry");
  const note = element("input", {
    required: true,
    maxlength: 1000,
    placeholder: "what you did instead",
    "aria-label": `Note on ${name}`,
  });
  const settle = element("button", { type: "submit", "aria-label": `Settle ${name}` }, "Settle");
  const form = element("form", { class: "inline" }, retry, note, settle, output);
  const root = element(
    "tr",
    { "data-order": first.order_id },
    orderCell(first.order_id, openOrder),
    ...cells,
    element("td", { class: "actions" }, form),
  );
  let freshUntilMs = 0;
  let underWay = 0;
  retry.addEventListener("click", () =>
    keepWhile(
      act(retry, output, `${path}/retry`, {}, (row) =>
        ended(row, row.state === "done" ? "compensated" : `not compensated: ${row.last_answer ?? "no answer"}`),
      ),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void keepWhile(act(settle, output, `${path}/settle`, { note: note.value }, (row) => ended(row, "settled, and the note is kept")));
  });
  show(first);
  return { root, show, isFresh: () => underWay > 0 || hasNote() || performance.now() < freshUntilMs };

  /** One that is being tried is not pending, so it leaves the list. What somebody writes about it meanwhile must not go with it. */
  function hasNote() {
    return note.value !== "" && !note.disabled;
  }

  /** @param {Promise<void>} acting the row stays for as long, and for a look longer */
  async function keepWhile(acting) {
    underWay++;
    try {
      await acting;
    } finally {
      underWay--;
      freshUntilMs = performance.now() + READ_EVERY_MS;
    }
  }

  /** @param {any} row @param {string} text */
  function ended(row, text) {
    if (row.state !== "pending") for (const part of [retry, note, settle]) part.disabled = true;
    show(row);
    return text;
  }

  /** @param {any} row */
  function show({ step, amount, age_seconds, tries, last_answer, next_try_at, held_back_by }) {
    const texts = [
      step,
      isRefund ? money(amount) : "",
      age(age_seconds),
      String(tries),
      last_answer ?? "–",
      nextTry(next_try_at, held_back_by, clock.wallMs()),
    ];
    for (const [index, cell] of cells.entries()) if (cell.textContent !== texts[index]) cell.textContent = texts[index];
  }
}

/**
 * An event that was given up, with a button to deliver it again.
 *
 * @param {any} letter
 * @param {Act} act
 * @param {(orderId: string) => void} openOrder
 * @param {ServerClock} clock
 * @returns {Row}
 */
export function letterRow({ id, order_id, type, given_up_at, reason }, act, openOrder, clock) {
  const output = outputBeside();
  const button = element("button", { type: "button", "aria-label": `Redeliver ${type} of ${order_id}` }, "Redeliver");
  let freshUntilMs = 0;
  button.addEventListener("click", () =>
    act(button, output, `/dead-letters/${id}/redeliver`, {}, () => {
      freshUntilMs = performance.now() + READ_EVERY_MS;
      return "waits for delivery again";
    }),
  );
  const givenUp = element("span");
  const cells = [type, givenUp, reason];
  const root = element(
    "tr",
    {},
    orderCell(order_id, openOrder),
    ...cells.map((cell, index) => element("td", { "data-label": LETTER_HEADINGS[index + 1] }, cell)),
    element("td", { class: "actions" }, button, output),
  );
  show();
  return { root, show, isFresh: () => performance.now() < freshUntilMs };

  function show() {
    const text = `${age(Math.max(0, (clock.wallMs() - Date.parse(given_up_at)) / 1_000))} ago`;
    if (givenUp.textContent !== text) givenUp.textContent = text;
  }
}

/**
 * An attempt of which something is held since a restore, with a button to confirm its order.
 *
 * @param {any} held
 * @param {Act} act
 * @param {(orderId: string) => void} openOrder
 * @returns {Row}
 */
export function heldRow({ order_id, amount, was, compensations }, act, openOrder) {
  const output = outputBeside();
  const button = element("button", { type: "button", "aria-label": `Confirm ${order_id}` }, "Confirm");
  let freshUntilMs = 0;
  button.addEventListener("click", () =>
    act(button, output, "/restore/confirm", { order_id }, (answer) => {
      freshUntilMs = performance.now() + READ_EVERY_MS;
      button.disabled = true;
      return `being compensated: ${answer.compensations}`;
    }),
  );
  const steps = compensations.map((/** @type {{ step: string }} */ { step }) => step).join(", ");
  const cells = [money(amount), was === "running" ? "was running" : "had failed", steps];
  const root = element(
    "tr",
    {},
    orderCell(order_id, openOrder),
    ...cells.map((text, index) => element("td", { "data-label": HELD_HEADINGS[index + 1], class: index === 0 && "number" }, text)),
    element("td", { class: "actions" }, button, output),
  );
  return { root, show: () => {}, isFresh: () => performance.now() < freshUntilMs };
}

/** @param {string} orderId @param {(orderId: string) => void} openOrder */
function orderCell(orderId, openOrder) {
  return element(
    "td",
    { class: "id" },
    linkButton(orderId, () => openOrder(orderId)),
  );
}
