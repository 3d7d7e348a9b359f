/**
 * Makes an element. Text becomes a text node and never HTML, because ids, notes and answers come from other people.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string | number | boolean | undefined>>} [attributes] `true`: without a value; undefined and false: left out
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string | number>>} [attributes]
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function svgElement(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * The element of the page with that id. Throws where there is none.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/**
 * Clicks on a button are of no effect while something is done. Its attribute `disabled` would take the focus from it, and giving that
 * back would take it from where the user is by then.
 *
 * @template Result
 * @param {HTMLButtonElement} button
 * @param {() => Promise<Result>} work
 */
export async function whileDisabled(button, work) {
  button.setAttribute("aria-disabled", "true");
  button.addEventListener("click", ignore, { capture: true });
  try {
    return await work();
  } finally {
    button.removeEventListener("click", ignore, { capture: true });
    button.removeAttribute("aria-disabled");
  }
}

/** @param {Event} event */
function ignore(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/**
 * A button that looks like a link.
 *
 * @param {string} text
 * @param {() => void} onClick
 */
export function linkButton(text, onClick) {
  const button = element("button", { type: "button", class: "link-button" }, text);
  button.addEventListener("click", onClick);
  return button;
}

/**
 * A table: headings, and rows of cells.
 *
 * @param {string} caption
 * @param {readonly string[]} headings
 * @param {readonly (readonly (Node | string)[])[]} rows
 * @returns {HTMLTableElement}
 */
export function table(caption, headings, rows) {
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))))),
  );
}
