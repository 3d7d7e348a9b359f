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
// The style sheets may arrive after the script.
addEventListener("load", () => {
  colors = read();
});

/** The colours of `theme.css`, for drawing. */
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
