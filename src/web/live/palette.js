const STEP_COLORS = /** @type {const} */ (["step-1", "step-2", "step-3", "step-4", "step-5", "step-6"]);
const NAMES = /** @type {const} */ ([
  "ink",
  "soft",
  "faint",
  "line",
  "panel",
  "lane",
  ...STEP_COLORS,
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

const dark = matchMedia("(prefers-color-scheme: dark)");
let isDark = dark.matches;
let colors = read();
// The style sheets may arrive after the script.
addEventListener("load", () => {
  colors = read();
});

/** The colours of `theme.css`, for drawing. */
export function palette() {
  // Whoever draws because the scheme has changed must not have the colours of before.
  if (dark.matches !== isDark) {
    isDark = dark.matches;
    colors = read();
  }
  return colors;
}

/**
 * @param {string} name of the palette
 * @returns {string}
 */
export function colorOf(name) {
  return palette()[/** @type {keyof Palette} */ (name)] ?? colors.soft;
}

/**
 * The name of a step's colour, in the palette and as a class of `keys.css`. A seventh step has that of the first.
 *
 * @param {number} index in `Hello.steps`; that of no step has the colour of what is no step
 */
export function stepColor(index) {
  return STEP_COLORS[index % STEP_COLORS.length] ?? "soft";
}
