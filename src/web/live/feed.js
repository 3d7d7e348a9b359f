/** @import { Hello, Tick } from "../../admin/live/messages.ts" */

const RECONNECT_MS = 500;
// Ticks come four times a second; a process that is merely busy is not silent for so long.
const SILENT_MS = 3_000;
// A connection that has gone dead without a word is given up then.
const DEAD_MS = 10_000;

/** @typedef {"connecting" | "live" | "silent" | "lost"} LinkState */

/**
 * Listens to `GET /events` for as long as the page is open, and begins again by itself whenever the stream ends.
 *
 * @param {object} handlers
 * @param {(hello: Hello) => void} handlers.onHello
 * @param {(tick: Tick) => void} handlers.onTick
 * @param {(state: LinkState) => void} handlers.onState at each change
 */
export function listen({ onHello, onTick, onState }) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {LinkState} */
  let state = "connecting";
  let heardMs = performance.now();

  open();
  setInterval(() => {
    if (source === undefined) return;
    const silentMs = performance.now() - heardMs;
    if (silentMs > DEAD_MS) again();
    else if (silentMs > SILENT_MS && state === "live") become("silent");
  }, 1_000);

  function open() {
    heardMs = performance.now();
    source = new EventSource("/events");
    source.addEventListener("hello", (event) => onHello(JSON.parse(event.data)));
    source.addEventListener("tick", (event) => {
      heardMs = performance.now();
      onTick(JSON.parse(event.data));
      become("live");
    });
    // A browser tries again by itself only after some ways to end, so it is done here after all of them.
    source.onerror = again;
  }

  function again() {
    source?.close();
    source = undefined;
    become("lost");
    setTimeout(open, RECONNECT_MS);
  }

  /** @param {LinkState} next */
  function become(next) {
    if (next === state) return;
    state = next;
    onState(next);
  }
}
