import { ask, Refused } from "../admin-api.js";
import { byId, element, table } from "../elements.js";
import { short, spoken } from "../words.js";
import { badge } from "./timeline.js";

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
  dialog.addEventListener("click", (event) => {
    // The content covers the dialog, so a click whose target is the dialog was on the backdrop.
    if (event.target === dialog) dialog.close();
  });
  return open;

  /** @param {string} orderId */
  async function open(orderId) {
    const mine = ++asked;
    show(orderId, element("p", {}, "looking it up"));
    if (!dialog.open) dialog.showModal();
    try {
      const order = await ask(pathOf(orderId));
      if (mine === asked) show(orderId, ...describe(orderId, order));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === asked) show(orderId, element("p", {}, error.message));
    }
  }

  /** @param {string} orderId @param {...Node} content */
  function show(orderId, ...content) {
    const close = element("button", { type: "button", class: "close" }, "Close");
    close.addEventListener("click", () => dialog.close());
    const again = element("button", { type: "button" }, "Look again");
    again.addEventListener("click", () => void open(orderId));
    const head = element("div", { class: "dialog-head" }, element("h2", { id: "order-title" }, orderId), again, close);
    dialog.replaceChildren(element("div", { class: "dialog-body" }, head, ...content));
  }
}

/** @param {string} orderId */
function pathOf(orderId) {
  return `/orders/${encodeURIComponent(orderId)}`;
}

/**
 * @param {string} orderId
 * @param {{ amount: number, status: string, error?: { kind: string }, attempts_total: number, attempts: Attempt[] }} order
 */
function describe(orderId, { amount, status, error, attempts_total, attempts }) {
  const sum = (amount / 100).toLocaleString("en", { minimumFractionDigits: 2 });
  const facts = element(
    "p",
    { class: "facts" },
    badge(error?.kind ?? status),
    ` amount ${sum} · ${attempts_total === 1 ? "one attempt" : `${short(attempts_total)} attempts`}`,
  );
  const list = element("div", {}, ...attempts.toReversed().map(attemptSection));
  const older = element("p");
  offerOlder(attempts[0]?.attempt);
  return [facts, list, older];

  /** @param {number | undefined} before */
  function offerOlder(before) {
    if (before === undefined || before <= 1) {
      older.replaceChildren();
      return;
    }
    const button = element("button", { type: "button" }, "Older attempts");
    button.addEventListener("click", async () => {
      try {
        const page = await ask(`${pathOf(orderId)}?before=${before}`);
        list.append(...page.attempts.toReversed().map(attemptSection));
        offerOlder(page.attempts[0]?.attempt);
      } catch (failure) {
        if (!(failure instanceof Refused)) throw failure;
        older.append(` ${failure.message}`);
      }
    });
    older.replaceChildren(button);
  }
}

/** @param {Attempt} attempt */
function attemptSection({ attempt, status, accepted_at, ended_at, steps, error, cause, compensations }) {
  const rows = steps.map(({ name, status: how, duration_ms, detail }) => {
    const compensation = compensations.find(({ step }) => step === name);
    const compensated =
      compensation === undefined ? "" : `${compensation.status}${compensation.tries > 1 ? ` after ${compensation.tries} tries` : ""}`;
    return [name, spoken(how), `${short(duration_ms)} ms`, spoken(detail ?? ""), compensated];
  });
  const times = ended_at === undefined ? `since ${accepted_at}` : `${accepted_at} to ${ended_at}`;
  return element(
    "section",
    { class: "attempt-section" },
    element(
      "h3",
      {},
      `Attempt ${attempt} `,
      badge(error?.kind ?? status),
      cause === undefined ? "" : ` ${cause} by the end of its process`,
    ),
    element("p", { class: "hint" }, times),
    rows.length === 0
      ? element("p", {}, "Its steps have not ended yet.")
      : table(`Steps of attempt ${attempt}`, ["step", "ended", "after", "why", "compensated"], rows),
  );
}
