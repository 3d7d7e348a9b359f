/** @import { Hello, Tick } from "../../../admin/live/messages.ts" */
/** @import { ServerClock } from "../server-clock.js" */
import { byId, element, table } from "../elements.js";
import { drawWhileVisible } from "../frames.js";
import { stepColor } from "../palette.js";
import { counted, duration, short, spoken } from "../words.js";
import { controls } from "./controls.js";
import { STUCK_MS } from "./lane-model.js";
import { Lanes } from "./lanes.js";

// More rows would push the panels below out of sight.
const MAX_LISTED = 8;
const MAX_CANCELS_LISTED = 5;
// As in page.css.
const NARROW_PX = 980;

/**
 * The panel of the threads: lanes, what is under the pointer, the legend, and the same as a table.
 *
 * @param {ServerClock} clock
 * @param {(orderId: string) => void} openOrder
 */
export function threadsPanel(clock, openOrder) {
  const canvas = byId("lanes", HTMLCanvasElement);
  const details = byId("threads-details", HTMLDetailsElement);
  const sampling = byId("sampling", HTMLElement);
  const lanes = new Lanes(canvas, clock);
  /** @type {Tick | undefined} */
  let latest;

  details.addEventListener("toggle", () => {
    if (latest !== undefined) showTable(latest);
  });
  controls(lanes);
  // Where there is little room the buttons of trouble follow the lanes at once.
  byId("legend-details", HTMLDetailsElement).open = innerWidth > NARROW_PX;
  drawWhileVisible(canvas, () => lanes.draw());
  pointAtBars();

  return {
    /** @param {Hello} hello */
    hello(hello) {
      lanes.model.hello(hello);
      lanes.steps = hello.steps;
      showLegend(hello.steps);
    },
    /** @param {Tick} tick @param {boolean} isShown its words change, besides the picture */
    add(tick, isShown) {
      lanes.model.tick(tick);
      // The canvas has its height before the panels are shown, so nothing below it moves.
      if (latest === undefined) lanes.draw();
      latest = tick;
      if (!isShown) return;
      showSampling();
      if (details.open) showTable(tick);
    },
    /** @param {boolean} isLive */
    setLive(isLive) {
      lanes.isLive = isLive;
    },
    /** Of the last ten seconds: how many orders ended, and how many were refused. */
    shares: () => lanes.model.shares(),
  };

  function showSampling() {
    const { shown, ended, refused } = lanes.model.shares();
    const stuck = latest?.threads.filter(([, , , , heartbeatAgeMs]) => heartbeatAgeMs > STUCK_MS).length ?? 0;
    const drawn =
      ended === 0
        ? latest !== undefined && latest.in_flight > 0
          ? `${counted(latest.in_flight, "order runs", "orders run")}, none ended in 10 s`
          : stuck > 0
            ? `no order runs, but ${counted(stuck, "thread is", "threads are")} stuck`
            : "nothing runs, so the picture rests: place an order"
        : shown === ended
          ? `${counted(ended, "order")} in 10 s, all drawn`
          : `${short(ended)} orders in 10 s, ${short(shown)} of them drawn`;
    const text = refused === 0 ? drawn : `${drawn}; ${short(refused)} refused before any step began`;
    if (sampling.textContent !== text) sampling.textContent = text;
  }

  /** @param {Tick} tick */
  function showTable({ now, threads, loop }) {
    const main = ["main", "main", "–", "–", `busy ${Math.round(loop.utilization * 100)} %, late ${short(loop.delay_ms)} ms`];
    const rows = threads.map(([id, pool, running, started, heartbeatAgeMs]) => [
      `#${id}`,
      pool,
      short(running),
      short(started),
      `${short(heartbeatAgeMs)} ms ago`,
    ]);
    const cancels = lanes.model.cancels.slice(-MAX_CANCELS_LISTED).toReversed();
    const running = lanes.model.open.running
      .slice(0, MAX_LISTED)
      .map(({ order, step, thread, from }) => [order.id, lanes.steps[step] ?? "", `#${thread}`, duration(now - from)]);
    const stopped = cancels.map(({ order, stopped, ms }) => [
      order.id,
      spoken(order.canceled?.[0] ?? ""),
      short(stopped.length),
      duration(ms),
    ]);
    byId("threads-table", HTMLElement).replaceChildren(
      table("Threads", ["thread", "pool", "steps now", "steps ever", "last heartbeat"], [main, ...rows]),
      ...(running.length === 0
        ? []
        : [table("Steps that still run after a third of a second", ["order", "step that runs", "thread", "for"], running)]),
      ...(stopped.length === 0 ? [] : [table("The latest cancels", ["canceled order", "cause", "steps stopped", "after"], stopped)]),
    );
  }

  function pointAtBars() {
    const tip = byId("lanes-tip", HTMLElement);
    canvas.addEventListener("pointermove", (event) => {
      const bar = lanes.at(event.offsetX, event.offsetY);
      tip.hidden = bar === undefined;
      lanes.isPointedAt = bar !== undefined;
      canvas.classList.toggle("pointing", bar !== undefined);
      if (bar === undefined) return;
      tip.textContent = lanes.describe(bar);
      const left = Math.max(0, Math.min(event.offsetX + 12, canvas.clientWidth - tip.offsetWidth - 4));
      tip.style.transform = `translate(${left}px, ${event.offsetY + 14}px)`;
    });
    canvas.addEventListener("pointerleave", () => {
      tip.hidden = true;
      lanes.isPointedAt = false;
    });
    canvas.addEventListener("click", (event) => {
      const bar = lanes.at(event.offsetX, event.offsetY);
      if (bar !== undefined) void openOrder(bar.order.id);
    });
  }
}

/** @param {readonly string[]} steps */
function showLegend(steps) {
  const key = (/** @type {string} */ name, /** @type {string} */ text, letter = "") =>
    element("li", {}, element("i", { class: `key ${name}`, "aria-hidden": true }, letter), text);
  byId("legend", HTMLElement).replaceChildren(
    ...steps.map((step, index) => key(`lettered ${stepColor(index)}`, step, step.charAt(0).toUpperCase())),
    key("waits", "waits, beside others on a shared thread"),
    key("computes", "computes, alone on an exclusive thread"),
    key("open", "still runs"),
    key("failure", "failed; an arrow to each step it stopped"),
    key("canceled", "was stopped"),
    key("compensation", "was compensated"),
    key("load", "how much the thread has to do"),
    key("late", "the event loop was late"),
  );
}
