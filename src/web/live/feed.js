/** @import { Hello, Tick } from "../../admin/live/messages.ts" */

const RECONNECT_MS = 500;
// Ticks come four times a second, and a busy process delays them by less than this.
const SILENT_MS = 3_000;
// A connection that is silent for this long is dead, and a new one is made.
const DEAD_MS = 10_000;

/** @typedef {"connecting" | "live" | "silent" | "lost"} LinkState */

/**
 * Listens to `GET /events` for as long as the page is open, and connects again whenever the stream ends.
 *
 * @param {object} handlers
 * @param {(hello: Hello) => void} handlers.onHello
 * @param {(tick: Tick) => void} handlers.onTick
 * @param {(state: LinkState) => void} handlers.onState on each change
 */
export function listen({ onHello, onTick, onState }) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {LinkState} */
  let state = "connecting";
  let receivedMs = performance.now();

  open();
  setInterval(() => {
    if (source === undefined) return;
    const silentMs = performance.now() - receivedMs;
    if (silentMs > DEAD_MS) reconnect();
    else if (silentMs > SILENT_MS && state === "live") setState("silent");
  }, 1_000);

  function open() {
    receivedMs = performance.now();
    source = new EventSource("/events");
    source.addEventListener("hello", (event) => onHello(JSON.parse(event.data)));
    source.addEventListener("tick", (event) => {
      receivedMs = performance.now();
      onTick(JSON.parse(event.data));
      setState("live");
    });
    // A browser reconnects by itself after some errors only, so this does it after all of them.
    source.onerror = reconnect;
  }

  function reconnect() {
    source?.close();
    source = undefined;
    setState("lost");
    setTimeout(open, RECONNECT_MS);
  }

  /** @param {LinkState} next */
  function setState(next) {
    if (next === state) return;
    state = next;
    onState(next);
  }
}
