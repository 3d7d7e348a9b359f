/** @import { Tick } from "../../../admin/live/messages.ts" */
import { ask, Refused } from "../admin-api.js";
import { byId, element } from "../elements.js";
import { age, counted } from "../words.js";

// While the panel shows something, what it shows is read again so often.
const READ_EVERY_MS = 3_000;
const PAGE = 20;
const COMPENSATION = ["Order", "Step", "Amount", "Waits for", "Tries", "Last answer", "Next try", "What to do"];

/**
 * What an operator at night looks for: what is not compensated, what was not delivered, and the buttons to mend it.
 *
 * @param {(text: string) => void} announce
 * @param {(orderId: string) => void} openOrder
 */
export function stuck(announce, openOrder) {
  const hint = byId("stuck-hint", HTMLElement);
  const compensations = listOf("Not compensated", "compensations", [
    "Order",
    "Step",
    "Amount",
    "Waits for",
    "Tries",
    "Last answer",
    "Next try",
    "",
  ]);
  const letters = listOf("Dead letters", "dead-letters", ["Order", "Event", "Given up", "Why", "What to do"]);
  const receiver = element("p", { id: "receiver" });
  const receiverSays = output();
  const backup = backupForm();
  byId("stuck-body", HTMLElement).append(
    compensations.root,
    letters.root,
    element("section", { class: "sub" }, element("h3", {}, "Receiver of events"), receiver, receiverSays),
    element("section", { class: "sub" }, element("h3", {}, "Backup"), backup),
  );
  let before = "";
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
      const waiting = Object.values(backlog.compensations);
      const pending = waiting.reduce((sum, { count }) => sum + count, 0);
      const oldest = Math.max(0, ...waiting.map(({ oldest_s }) => oldest_s));
      const parts = [
        pending === 0
          ? "no compensation waits"
          : `${counted(pending, "compensation waits", "compensations wait")}, the oldest for ${age(oldest)}`,
        backlog.events.count === 0
          ? "no event waits"
          : `${counted(backlog.events.count, "event waits", "events wait")}, the oldest for ${age(backlog.events.oldest_s)}`,
        counted(backlog.dead_letters, "dead letter"),
      ];
      const text = parts.join(" · ");
      if (hint.textContent !== text) hint.textContent = text;
      byId("stuck", HTMLElement).classList.toggle("alarm", pending > 0 || backlog.dead_letters > 0 || state === "disabled");
      showReceiver(state);
      const now = `${pending} ${backlog.dead_letters}`;
      const isDue = performance.now() - readMs >= (pending + backlog.dead_letters > 0 ? READ_EVERY_MS : Number.POSITIVE_INFINITY);
      if (now !== before || isDue) void read(now);
    },
  };

  /** @param {string} [now] */
  async function read(now) {
    if (isReading) return;
    isReading = true;
    readMs = performance.now();
    try {
      await Promise.all([compensations.read(), letters.read()]);
      if (now !== undefined) before = now;
    } finally {
      isReading = false;
    }
  }

  /** @param {string} state */
  function showReceiver(state) {
    if (state === receiverBefore) return;
    receiverBefore = state;
    const words = {
      none: "none is configured (WEBHOOK_URL).",
      up: "up.",
      down: "down; it is tried again by itself, and nothing is lost.",
      disabled: "disabled: it answered 410. Nothing is sent until you say so.",
    };
    receiver.replaceChildren(words[/** @type {keyof typeof words} */ (state)] ?? state);
    if (state !== "disabled") return;
    const button = element("button", { type: "button" }, "Resume");
    button.addEventListener("click", () => act(button, receiverSays, "/webhooks/resume", {}, ({ receiver: now }) => `resumed: ${now}`));
    receiver.append(" ", button);
  }

  function backupForm() {
    const name = element("input", { name: "name", required: true, autocomplete: "off", spellcheck: "false", placeholder: "monday.db" });
    const button = element("button", { type: "submit" }, "Back up");
    const says = output();
    const form = element("form", { class: "inline" }, element("label", {}, "File name ", name), button, says);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void act(button, says, "/backup", { name: name.value }, ({ bytes, duration_ms }) => `${bytes} bytes in ${duration_ms} ms`);
    });
    return form;
  }

  /**
   * A list of the journal with its buttons.
   *
   * @param {string} title
   * @param {"compensations" | "dead-letters"} path
   * @param {readonly string[]} headings
   */
  function listOf(title, path, headings) {
    const body = element("tbody");
    const none = element("p", { class: "hint" }, "None.");
    const tail = element("p", { class: "hint" });
    const grid = element(
      "section",
      { class: "scroll", "aria-label": title, hidden: true, tabindex: 0 },
      element("table", {}, element("thead", {}, element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)))), body),
    );
    const root = element("section", { class: "sub wide" }, element("h3", {}, title), none, grid, tail);
    /** Rows by their number, so that what somebody types into one stays. @type {Map<number, ReturnType<typeof compensationRow>>} */
    const rows = new Map();
    let limit = PAGE;
    const isCompensations = path === "compensations";

    return { root, read };

    async function read() {
      try {
        const page = await ask(`/${path}?limit=${limit}`);
        const items = isCompensations ? page.compensations : page.dead_letters;
        const ids = new Set(items.map((/** @type {{ id: number }} */ { id }) => id));
        for (const [id, row] of rows) {
          // A row that has just been dealt with says so until the list is read the next time.
          if (ids.has(id) || row.isFresh()) continue;
          row.root.remove();
          rows.delete(id);
        }
        for (const item of items) {
          const known = rows.get(item.id);
          if (known !== undefined) known.show(item);
          else {
            const row = isCompensations ? compensationRow(item) : letterRow(item);
            rows.set(item.id, row);
            body.append(row.root);
          }
        }
        none.hidden = rows.size > 0;
        grid.hidden = rows.size === 0;
        tail.replaceChildren();
        if (page.next_cursor !== undefined && limit < 500) {
          const button = element("button", { type: "button" }, "More");
          button.addEventListener("click", () => {
            limit = Math.min(500, limit * 5);
            void read();
          });
          tail.append(`the oldest ${limit} `, button);
        }
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        tail.replaceChildren(error.message);
      }
    }
  }

  /** @param {any} first */
  function compensationRow(first) {
    const cells = COMPENSATION.slice(1, -1).map((label) => element("td", { "data-label": label }));
    const says = output();
    const retry = element("button", { type: "button" }, "Retry");
    const note = element("input", {
      required: true,
      maxlength: 1000,
      placeholder: "what you did instead",
      "aria-label": `Note on ${first.step} of ${first.order_id}`,
    });
    const settle = element("button", { type: "submit" }, "Settle");
    const form = element("form", { class: "inline" }, retry, note, settle, says);
    let freshUntilMs = 0;
    let seenMs = performance.now();
    let seenAge = first.age_seconds;
    retry.setAttribute("aria-label", `Retry ${first.step} of ${first.order_id}`);
    settle.setAttribute("aria-label", `Settle ${first.step} of ${first.order_id}`);
    retry.addEventListener("click", () =>
      act(retry, says, `/compensations/${first.id}/retry`, {}, (row) =>
        ended(row, row.state === "done" ? "compensated" : `not compensated: ${row.last_answer ?? "no answer"}`),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void act(settle, says, `/compensations/${first.id}/settle`, { note: note.value }, (row) =>
        ended(row, "settled, and the note is kept"),
      );
    });
    const id = element("td", { class: "id" }, idButton(first.order_id));
    const root = element("tr", {}, id, ...cells, element("td", { class: "actions" }, form));
    show(first);
    return { root, show, isFresh: () => performance.now() < freshUntilMs };

    /** @param {any} row @param {string} text */
    function ended(row, text) {
      if (row.state !== "pending") {
        freshUntilMs = performance.now() + READ_EVERY_MS;
        for (const part of [retry, note, settle]) part.disabled = true;
      }
      show(row);
      return text;
    }

    /** @param {any} row */
    function show({ step, amount, age_seconds, tries, last_answer, next_try_at }) {
      seenMs = performance.now();
      seenAge = age_seconds;
      const next = next_try_at === undefined ? "–" : Math.max(0, (Date.parse(next_try_at) - Date.now()) / 1_000);
      const texts = [
        step,
        (amount / 100).toFixed(2),
        age(seenAge + (performance.now() - seenMs) / 1_000),
        tries,
        last_answer ?? "–",
        typeof next !== "number" ? next : next < 1 ? "now" : `in ${age(next)}`,
      ];
      for (const [index, cell] of cells.entries()) if (cell.textContent !== String(texts[index])) cell.textContent = String(texts[index]);
    }
  }

  /** @param {any} letter */
  function letterRow({ id, order_id, type, given_up_at, reason }) {
    const says = output();
    const button = element("button", { type: "button", "aria-label": `Redeliver ${type} of ${order_id}` }, "Redeliver");
    let freshUntilMs = 0;
    button.addEventListener("click", () =>
      act(button, says, `/dead-letters/${id}/redeliver`, {}, () => {
        freshUntilMs = performance.now() + READ_EVERY_MS;
        return "waits for delivery again";
      }),
    );
    const root = element(
      "tr",
      {},
      element("td", { class: "id" }, idButton(order_id)),
      element("td", {}, type),
      element("td", {}, `${age(Math.max(0, (Date.now() - Date.parse(given_up_at)) / 1_000))} ago`),
      element("td", {}, reason),
      element("td", { class: "actions" }, button, says),
    );
    return { root, show: () => {}, isFresh: () => performance.now() < freshUntilMs };
  }

  /** @param {string} id */
  function idButton(id) {
    const button = element("button", { type: "button", class: "link-button" }, id);
    button.addEventListener("click", () => openOrder(id));
    return button;
  }

  /**
   * Does it, and says beside the button what came of it.
   *
   * @param {HTMLButtonElement} button
   * @param {HTMLElement} says
   * @param {string} path
   * @param {unknown} body
   * @param {(answer: any) => string} tell
   */
  async function act(button, says, path, body, tell) {
    button.disabled = true;
    says.textContent = "…";
    /** @type {string} */
    let text;
    let isAgain = true;
    try {
      const answer = await ask(path, body);
      button.disabled = false;
      text = tell(answer);
      isAgain = false;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      text = error.message;
    }
    if (isAgain) button.disabled = false;
    says.textContent = text;
    announce(text);
    void read();
  }
}

function output() {
  return element("output", { class: "says" });
}
