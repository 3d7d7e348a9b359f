import { ask, Refused } from "../admin-api.js";
import { element } from "../elements.js";

const PAGE = 20;
// The most that the admin listener gives at one time.
const MAX_LIMIT = 500;
// The panel reads its lists again this often. A row that was dealt with shows its result until then.
export const READ_EVERY_MS = 3_000;
/** The headings of numbers, which stand as far right as these. */
export const NUMBERS = new Set(["Owed", "Amount", "Tries"]);

/**
 * @typedef {object} Row
 * @property {HTMLTableRowElement} root
 * @property {(item: any) => void} show
 * @property {() => boolean} isFresh somebody has just dealt with it
 */

/**
 * A list of the journal.
 *
 * @param {string} title
 * @param {string} path of its route
 * @param {string} field of the answer
 * @param {readonly string[]} headings
 * @param {(item: any) => Row} rowOf
 * @param {(item: any) => unknown} keyOf what an item is known by
 */
export function journalList(title, path, field, headings, rowOf, keyOf = ({ id }) => id) {
  const body = element("tbody");
  const none = element("p", { class: "hint" }, "None.");
  const of = element("span");
  // It stays the same, so that the focus stays on it when the list is read again.
  const more = element("button", { type: "button", hidden: true }, "More");
  more.addEventListener("click", () => {
    limit = Math.min(MAX_LIMIT, limit * 5);
    void read();
  });
  const grid = element(
    "section",
    { class: "scroll", "aria-label": title, hidden: true, tabindex: 0 },
    element("table", {}, element("thead", {}, element("tr", {}, ...headings.map(heading))), body),
  );
  const root = element(
    "section",
    { class: "sub wide empty" },
    element("h3", {}, title),
    none,
    grid,
    element("p", { class: "hint" }, of, more),
  );
  /** Rows by their key. A row stays the same, so that the text in its field is not lost. @type {Map<unknown, Row>} */
  const rows = new Map();
  let limit = PAGE;
  return {
    root,
    read,
    get isEmpty() {
      return rows.size === 0;
    },
  };

  /** Reads it again, and shows a refusal below it. Resolves to whether it was read. */
  async function read() {
    try {
      const page = await ask(`${path}?limit=${limit}`);
      show(page[field]);
      more.hidden = page.next_cursor === undefined || limit >= MAX_LIMIT;
      of.textContent = more.hidden ? "" : `the oldest ${limit} `;
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      of.textContent = `${error.message} `;
      return false;
    }
  }

  /** @param {readonly any[]} items */
  function show(items) {
    const keys = new Set(items.map(keyOf));
    for (const [key, row] of rows) {
      if (keys.has(key) || row.isFresh()) continue;
      row.root.remove();
      rows.delete(key);
    }
    for (const item of items) {
      const known = rows.get(keyOf(item));
      if (known !== undefined) known.show(item);
      else {
        const row = rowOf(item);
        rows.set(keyOf(item), row);
        body.append(row.root);
      }
    }
    // Rows of one order follow each other, and only the first names it.
    for (const { root: row } of rows.values()) {
      const before = /** @type {HTMLElement | null} */ (row.previousElementSibling);
      row.classList.toggle("same", row.dataset.order !== undefined && row.dataset.order === before?.dataset.order);
    }
    root.classList.toggle("empty", rows.size === 0);
    none.hidden = rows.size > 0;
    grid.hidden = rows.size === 0;
  }
}

/** @param {string} text */
function heading(text) {
  return element("th", { scope: "col", class: NUMBERS.has(text) && "number" }, text);
}
