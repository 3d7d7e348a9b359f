import { ask, Refused } from "../admin-api.js";
import { byId, element, table, whileDisabled } from "../elements.js";
import { counted, duration, localTime, money, short, spoken } from "../words.js";
import { badge, durationBar } from "./timeline.js";

const UNKNOWN =
  "The journal keeps how long each step took, not when it began nor when a compensation ran: the lanes show that while it happens.";
/** What is said of a compensation. @type {Readonly<Record<string, string>>} */
const STATES = { done: "done", settled: "settled by hand", pending: "not yet", trying: "being tried", held: "held since a restore" };

/**
 * @typedef {object} Attempt as `GET /orders/{order_id}` shows it
 * @property {number} attempt
 * @property {string} status
 * @property {string} accepted_at
 * @property {string} [ended_at]
 * @property {{ name: string, status: string, duration_ms: number, detail?: string, compensation?: string }[]} steps
 * @property {{ kind: string, message: string }} [error]
 * @property {string} [cause]
 * @property {{ step: string, status: string, tries: number }[]} compensations
 */

/** A dialog with everything known of one order. Returns the function that opens it. */
export function orderDialog() {
  const dialog = byId("order", HTMLDialogElement);
  let asked = 0;
  const title = element("h2", { id: "order-title" });
  const again = element("button", { type: "button" }, "Look again");
  const close = element("button", { type: "button" }, "Close");
  const content = element("div");
  // The buttons stay whatever is shown below them: one that went would take the focus with it, out of the dialog.
  dialog.append(element("div", { class: "dialog-body" }, element("div", { class: "dialog-head" }, title, again, close), content));
  again.addEventListener("click", () => void open(title.textContent));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    // The content covers the dialog, so a click whose target is the dialog was on the backdrop.
    if (event.target === dialog) dialog.close();
  });
  return open;

  /** @param {string} orderId */
  async function open(orderId) {
    const mine = ++asked;
    title.textContent = orderId;
    content.replaceChildren(element("p", {}, "looking it up"));
    if (!dialog.open) dialog.showModal();
    try {
      const order = await ask(pathOf(orderId));
      if (mine === asked) content.replaceChildren(...describe(orderId, order));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === asked) content.replaceChildren(element("p", {}, error.message));
    }
  }
}

/** Throws `Refused`. @param {string} orderId */
function pathOf(orderId) {
  // A URL loses these two, also where they are percent-encoded, and no order may have one of them.
  if (orderId === "." || orderId === "..") throw new Refused(404, "no such order");
  return `/orders/${encodeURIComponent(orderId)}`;
}

/**
 * @param {string} orderId
 * @param {{ amount: number, status: string, error?: { kind: string }, attempts_total: number, attempts: Attempt[] }} order
 */
function describe(orderId, { amount, status, error, attempts_total, attempts }) {
  const facts = element(
    "p",
    { class: "facts" },
    badge(error?.kind ?? status),
    ` amount ${money(amount)} · ${counted(attempts_total, "attempt")}`,
  );
  const list = element("div", {}, ...attempts.toReversed().map(attemptSection));
  const button = element("button", { type: "button" }, "Older attempts");
  const said = element("span");
  button.addEventListener("click", () => void whileDisabled(button, listOlder));
  let before = attempts[0]?.attempt ?? 1;
  button.hidden = before <= 1;
  return [facts, list, element("p", {}, button, said)];

  async function listOlder() {
    try {
      const page = await ask(`${pathOf(orderId)}?before=${before}`);
      list.append(...page.attempts.toReversed().map(attemptSection));
      before = page.attempts[0]?.attempt ?? 1;
      button.hidden = before <= 1;
      said.textContent = "";
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      said.textContent = ` ${failure.message}`;
    }
  }
}

/** @param {Attempt} attempt */
function attemptSection(attempt) {
  const { status, accepted_at, ended_at, steps, error, cause } = attempt;
  const tookMs = ended_at === undefined ? undefined : Date.parse(ended_at) - Date.parse(accepted_at);
  const times = tookMs === undefined ? `since ${localTime(accepted_at)}` : `${localTime(accepted_at)}, for ${duration(tookMs)}`;
  return element(
    "section",
    { class: "attempt-section", "aria-label": `Attempt ${attempt.attempt}`, tabindex: 0 },
    element("h3", {}, `Attempt ${attempt.attempt} `, badge(cause ?? error?.kind ?? status)),
    element("p", { class: "hint" }, times),
    cause === undefined
      ? ""
      : element("p", {}, `It was ${cause} by the end of its process. Nobody knows how far its steps came, so each is compensated.`),
    steps.length === 0 ? element("p", {}, "Its steps have not ended yet.") : stepsTable(attempt),
  );
}

/**
 * Its steps with how long each took, and its compensations. The journal keeps no step's beginning, so the bars are lengths and no timeline.
 *
 * @param {Attempt} attempt
 */
function stepsTable({ attempt, steps, cause, compensations }) {
  const isKnown = cause === undefined;
  const longestMs = Math.max(...steps.map(({ duration_ms }) => duration_ms));
  const rows = steps.map(({ name, status, duration_ms, detail }, index) => {
    const compensation = compensations.find(({ step }) => step === name);
    const compensated = compensation === undefined ? "" : compensationBadge(compensation);
    if (!isKnown) return [name, "not known", "–", compensated];
    const ended = spoken(detail === undefined ? status : `${status}: ${detail}`);
    const took = element("div", { class: "took" }, `${short(duration_ms)} ms`, durationBar({ status, duration_ms }, index, longestMs));
    return [name, ended, took, compensated];
  });
  const made = table(`Steps of attempt ${attempt}`, ["step", "ended", "took", "compensated"], rows);
  return isKnown ? element("div", {}, made, element("p", { class: "hint" }, UNKNOWN)) : made;
}

/** How far a compensation has come. @param {Attempt["compensations"][number]} compensation */
function compensationBadge({ status, tries }) {
  const isOver = status === "done" || status === "settled";
  const text = `${STATES[status] ?? status}${tries > 1 ? ` after ${counted(tries, "try", "tries")}` : ""}`;
  return element("span", { class: `badge ${isOver ? "plain" : "bad"}` }, text);
}
