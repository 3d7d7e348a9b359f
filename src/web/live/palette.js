const NAMES = /** @type {const} */ ([
  "ink",
  "soft",
  "faint",
  "line",
  "panel",
  "lane",
  "payment",
  "vendor",
  "courier",
  "failed",
  "compensated",
  "ok",
  "warn",
]);

/** @typedef {Record<(typeof NAMES)[number], string>} Palette */

/** @returns {Palette} */
function read() {
  const style = getComputedStyle(document.documentElement);
  return /** @type {Palette} */ (Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])));
}

let colors = read();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colors = read();
});
// The style sheet may come after the script.
addEventListener("load", () => {
  colors = read();
});

/** The colours of the style sheet, for what is drawn. */
export function palette() {
  return colors;
}

/**
 * @param {string} step
 * @returns {string}
 */
export function colorOf(step) {
  return colors[/** @type {keyof Palette} */ (step)] ?? colors.soft;
}
