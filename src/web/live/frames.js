// Ten seconds on a thousand pixels move by a hundred pixels a second. Thirty frames a second look smooth at that speed.
const FRAME_MS = 32;
const STILL_MS = 1_000;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether the user wants nothing to move, so that nothing may scroll or flash. */
export function isStill() {
  return still.matches;
}

/**
 * Draws while the element can be seen: thirty times a second, or once a second where nothing may move.
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
 * Fits a canvas's pixels to its size on the page and to the screen. One unit of the returned context is one CSS pixel.
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
