/** @import { Lanes } from "./lanes.js" */
import { byId, element } from "../elements.js";

// An order of 200 ms is seen as three bars in the short one; the long one shows what led to it.
const SPANS = [2_000, 10_000];

/**
 * The buttons of the picture: how many seconds it shows, pause, and steps back and forth. Space pauses too, and arrows step, wherever
 * nothing else has the focus.
 *
 * @param {Lanes} lanes
 */
export function controls(lanes) {
  const spans = SPANS.map((ms) => ({ ms, button: made(`${ms / 1_000} s`, `${ms / 1_000} s in the picture`, () => show(ms)) }));
  const pause = made("Pause", "Pause the picture (Space)", () => toggle());
  const steps = [made("◀", "◀ a step back (left arrow)", () => step(-1)), made("▶", "▶ a step forth (right arrow)", () => step(1))];
  byId("lanes-controls", HTMLElement).append(...spans.map(({ button }) => button), pause, ...steps);
  show(SPANS[0] ?? 0);
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    const isFree = target instanceof Element && target.matches("body:not(:has(dialog[open])), #threads, canvas");
    if (!isFree || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key === " ") toggle();
    else if (key === "ArrowLeft") step(-1);
    else if (key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  });

  /** @param {number} ms */
  function show(ms) {
    lanes.span = ms;
    for (const one of spans) one.button.setAttribute("aria-pressed", String(one.ms === ms));
  }

  function toggle(isPaused = !lanes.isPaused) {
    lanes.pause(isPaused);
    pause.setAttribute("aria-pressed", String(isPaused));
  }

  /** @param {1 | -1} direction */
  function step(direction) {
    toggle(true);
    lanes.step(direction);
  }
}

/** @param {string} text @param {string} label @param {() => void} onClick */
function made(text, label, onClick) {
  const button = element(
    "button",
    { type: "button", "aria-label": label, title: label, "aria-pressed": text === "Pause" && "false" },
    text,
  );
  button.addEventListener("click", onClick);
  return button;
}
