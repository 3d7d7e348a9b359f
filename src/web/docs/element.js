/** @typedef {Node | string | undefined | false} Child of an element; a string becomes text and never HTML */

/**
 * Makes an element. Attributes that are undefined or false are left out; true ones are empty.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string | number | boolean | undefined>>} [attributes]
 * @param {readonly Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== undefined && child !== false));
  return made;
}

/**
 * A description as elements. Of Markdown it knows what the document uses: paragraphs, lists, and code in backticks.
 * @param {string | undefined} text
 * @returns {HTMLElement[]}
 */
export function prose(text = "") {
  return text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      if (!block.startsWith("* ")) return element("p", {}, ...inline(block));
      return element("ul", {}, ...block.split("\n").map((line) => element("li", {}, ...inline(line.slice(2)))));
    });
}

/**
 * @param {string} text
 * @returns {(HTMLElement | string)[]}
 */
export function inline(text) {
  return text.split("`").map((part, index) => (index % 2 === 0 ? part : element("code", {}, part)));
}

/**
 * A block of JSON or text that can be scrolled, also by keyboard, with a button that copies it.
 * @param {string} text
 * @param {string} label
 */
export function codeBlock(text, label) {
  const code = element("code", {}, text);
  const copy = element("button", { type: "button", class: "copy quiet", "aria-label": `Copy: ${label}` }, "Copy");
  copy.addEventListener("click", async () => {
    copy.textContent = await copied(code);
    setTimeout(() => (copy.textContent = "Copy"), TOLD_MS);
  });
  return element("div", { class: "code" }, element("pre", { tabindex: 0, "aria-label": label }, code), copy);
}

// Long enough to be read.
const TOLD_MS = 2_000;

/** Browsers give no clipboard to pages that came over plain HTTP from another machine; the text is selected there. @param {HTMLElement} code */
async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return "Copied";
  } catch {
    getSelection()?.selectAllChildren(code);
    return "Selected";
  }
}

/** @param {string} method */
export function methodBadge(method) {
  return element("span", { class: `method ${method}` }, method.toUpperCase());
}

/** @param {string | number} status */
export function statusBadge(status) {
  return element("span", { class: `status s${String(status).slice(0, 1)}` }, String(status));
}

/**
 * A name with line breaks allowed after a slash or an underscore.
 * @param {string} name
 * @returns {(Node | string)[]}
 */
export function breakable(name) {
  return name.split(/(?<=[/_])/).flatMap((part, index) => (index === 0 ? [part] : [document.createElement("wbr"), part]));
}
