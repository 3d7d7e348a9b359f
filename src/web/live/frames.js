// Ten seconds over a thousand pixels move a hundred a second: thirty pictures of that look smooth, and leave the processor to others.
const FRAME_MS = 32;
const STILL_MS = 1_000;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Nothing may move, so nothing scrolls or flashes. */
export function isStill() {
  return still.matches;
}

/**
 * Draws again and again while the element can be seen: thirty times a second, or once where nothing may move.
 *
 * @param {Element} seen
 * @param {() => void} draw
 */
export function drawWhileVisible(seen, draw) {
  let inView = false;
  let drawnMs = 0;
  /** @type {number | undefined} */
  let frame;
  new IntersectionObserver(([entry]) => {
    inView = entry?.isIntersecting ?? false;
    next();
  }).observe(seen);
  document.addEventListener("visibilitychange", next);

  function next() {
    if (frame !== undefined || !inView || document.hidden) return;
    frame = requestAnimationFrame((nowMs) => {
      frame = undefined;
      if (nowMs - drawnMs >= (isStill() ? STILL_MS : FRAME_MS) - 2) {
        drawnMs = nowMs;
        draw();
      }
      next();
    });
  }
}

/**
 * Fits a canvas's pixels to its size on the page and to the screen, and gives it back scaled so that one unit is one CSS pixel.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function fitted(canvas) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}
