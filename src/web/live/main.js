/** @import { Hello, Tick } from "../../admin/live/messages.ts" */
import { byId, element, table } from "./elements.js";
import { listen } from "./feed.js";
import { figures } from "./figures/figures.js";
import { drawWhileVisible } from "./frames.js";
import { orderDialog } from "./orders/order-dialog.js";
import { orders } from "./orders/orders.js";
import { ServerClock } from "./server-clock.js";
import { stuck } from "./stuck/stuck.js";
import { WINDOW_MS } from "./threads/lane-model.js";
import { Lanes } from "./threads/lanes.js";
import { trouble } from "./trouble/trouble.js";
import { age, duration, short } from "./words.js";

// More would push what stands below out of sight.
const MAX_LISTED = 8;

const clock = new ServerClock();
const canvas = byId("lanes", HTMLCanvasElement);
const lanes = new Lanes(canvas, clock);
const announcement = byId("announce", HTMLElement);
// What comes at about one moment, as when a process dies under a button, is told together: else the second would hide the first.
const TOGETHER_MS = 3_000;
let announcedMs = Number.NEGATIVE_INFINITY;
const openOrder = orderDialog();
const figuresPanel = figures(
  byId("plots", HTMLElement),
  byId("figures-hint", HTMLElement),
  byId("figures-details", HTMLDetailsElement),
  byId("figures-table", HTMLElement),
);
const ordersPanel = orders(clock, openOrder);
const stuckPanel = stuck(announce, openOrder);
const showTrouble = trouble(byId("trouble-body", HTMLElement), announce);
const glance = glanceAt(byId("glance", HTMLElement));
const sampling = byId("sampling", HTMLElement);
const threadsDetails = byId("threads-details", HTMLDetailsElement);

/** @type {number | undefined} */
let pid;
/** @type {string | undefined} */
let node;
/** @type {Tick | undefined} */
let latest;
let ticks = 0;
let lostMs = 0;

listen({
  onHello(hello) {
    clock.restart(hello.now, hello.now_since_1970_ms);
    lanes.model.hello(hello);
    lanes.steps = hello.steps;
    ordersPanel.hello(hello.steps);
    showTrouble(hello.simulated);
    showLegend(hello);
    showNode(hello);
    if (pid !== undefined && pid !== hello.pid) figuresPanel.restarted();
    pid = hello.pid;
    node = hello.node;
  },
  onTick(tick) {
    clock.heard(tick.now);
    lanes.model.tick(tick);
    figuresPanel.add(tick);
    ordersPanel.add(tick);
    stuckPanel.add(tick);
    latest = tick;
    ticks++;
    // On the same ticks as the figures below, so that the two do not contradict each other.
    const isShown = ticks === 1 || ticks % 4 === 0;
    glance(tick, isShown);
    if (!isShown) return;
    showSampling();
    if (threadsDetails.open) showThreads(tick);
  },
  onState(state) {
    lanes.isLive = state === "live";
    const link = byId("link", HTMLElement);
    link.dataset.state = state;
    if (state === "live") {
      byId("link-text", HTMLElement).textContent = `live, ${node === undefined ? "" : `node ${node}, `}process ${pid}`;
      if (lostMs > 0) announce(`live again after ${age((performance.now() - lostMs) / 1_000)}`);
      lostMs = 0;
      return;
    }
    if (lostMs === 0) lostMs = performance.now();
    byId("link-text", HTMLElement).textContent = state === "silent" ? "no news for three seconds" : "no connection; trying again";
    if (state === "lost" && pid !== undefined) announce("the connection is lost; trying again");
  },
});

threadsDetails.addEventListener("toggle", () => {
  if (latest !== undefined) showThreads(latest);
});
drawWhileVisible(canvas, () => lanes.draw());
pointAtBars();
// Whoever has no pointer scrolls with the keys.
for (const area of document.querySelectorAll("section.scroll")) /** @type {HTMLElement} */ (area).tabIndex = 0;

/** One voice for what happens rarely; what happens all the time is told to nobody who did not ask. @param {string} text */
function announce(text) {
  const said = announcement.textContent;
  const isBesides = performance.now() - announcedMs < TOGETHER_MS;
  announcedMs = performance.now();
  if (!isBesides) announcement.textContent = text;
  else if (!said.includes(text)) announcement.textContent = `${said}; ${text}`;
}

/** @param {HTMLElement} place */
function glanceAt(place) {
  const names = ["orders/s over 10 s", "p99", "in flight", "cancel p50", "threads"];
  const values = names.map(() => element("dd", {}, "–"));
  place.append(...names.map((name, index) => element("div", {}, element("dt", {}, name), /** @type {HTMLElement} */ (values[index]))));
  // The latest that is known, for as long as the lanes show what it is of.
  const latest = { p99: { ms: Number.NaN, at: 0 }, cancel: { ms: Number.NaN, at: 0 } };
  /** Takes every tick, and shows them once in a while. */
  return (/** @type {Tick} */ tick, /** @type {boolean} */ isShown) => {
    if (tick.order_ms !== null) latest.p99 = { ms: tick.order_ms.p99, at: tick.now };
    if (tick.cancel_ms !== null) latest.cancel = { ms: tick.cancel_ms.p50, at: tick.now };
    if (!isShown) return;
    const recent = (/** @type {{ ms: number, at: number }} */ { ms, at }) =>
      Number.isNaN(ms) || tick.now < at || tick.now - at > WINDOW_MS ? "–" : duration(ms);
    const texts = [
      short(lanes.model.shares().ended / 10),
      recent(latest.p99),
      short(tick.in_flight),
      recent(latest.cancel),
      `${tick.threads.length}${tick.replaced_total > 0 ? `, ${short(tick.replaced_total)} replaced so far` : ""}`,
    ];
    for (const [index, value] of values.entries()) if (value.textContent !== texts[index]) value.textContent = texts[index] ?? "";
  };
}

function showSampling() {
  const { shown, ended } = lanes.model.shares();
  const text =
    ended === 0
      ? "nothing ran in the last ten seconds: place an order"
      : shown === ended
        ? `all ${short(ended)} orders drawn`
        : `sampled: ${short(shown)} of ${short(ended)} orders drawn`;
  if (sampling.textContent !== text) sampling.textContent = text;
}

/** @param {Hello} hello */
function showNode({ node }) {
  if (node === undefined) return;
  byId("node", HTMLElement).textContent = `node ${node}`;
  document.title = `Order pipeline: ${node}`;
}

/** @param {Hello} hello */
function showLegend({ steps }) {
  const key = (/** @type {string} */ name, /** @type {string} */ text) =>
    element("li", {}, element("i", { class: `key ${name}`, "aria-hidden": true }), text);
  byId("legend", HTMLElement).replaceChildren(
    ...steps.map((step) => key(step, step)),
    key("waits", "pale: waits, beside others"),
    key("computes", "striped: computes, on a thread of its own"),
    key("open", "still runs"),
    key("failure", "failed; a line to each step it stopped"),
    key("compensation", "was compensated"),
    key("load", "gray: how much its thread has to do"),
    key("late", "the event loop was late"),
  );
}

/** @param {Tick} tick */
function showThreads({ now, threads, loop }) {
  const main = ["main", "main", "–", "–", `busy ${Math.round(loop.utilization * 100)} %, late ${short(loop.delay_ms)} ms`];
  const rows = threads.map(([id, pool, running, started, beatMs]) => [
    `#${id}`,
    pool,
    short(running),
    short(started),
    `${short(beatMs)} ms ago`,
  ]);
  const cancels = lanes.model.cancels.slice(-5).toReversed();
  byId("threads-table", HTMLElement).replaceChildren(
    table("Threads", ["thread", "pool", "steps now", "steps ever", "last heartbeat"], [main, ...rows]),
    table(
      "Steps that still run after a third of a second",
      ["order", "step that runs", "thread", "for"],
      lanes.model.open.running
        .slice(0, MAX_LISTED)
        .map(({ order, step, thread, from }) => [order.id, lanes.steps[step] ?? "", `#${thread}`, duration(now - from)]),
    ),
    table(
      "The latest cancels",
      ["canceled order", "cause", "steps stopped", "after"],
      cancels.map(({ order, stopped, ms }) => [
        order.id,
        order.canceled?.[0].replaceAll("_", " ") ?? "",
        short(stopped.length),
        duration(ms),
      ]),
    ),
  );
}

function pointAtBars() {
  const tip = byId("lanes-tip", HTMLElement);
  canvas.addEventListener("pointermove", (event) => {
    const bar = lanes.at(event.offsetX, event.offsetY);
    tip.hidden = bar === undefined;
    canvas.classList.toggle("pointing", bar !== undefined);
    if (bar === undefined) return;
    tip.textContent = lanes.describe(bar);
    const left = Math.max(0, Math.min(event.offsetX + 12, canvas.clientWidth - tip.offsetWidth - 4));
    tip.style.transform = `translate(${left}px, ${event.offsetY + 14}px)`;
  });
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  canvas.addEventListener("click", (event) => {
    const bar = lanes.at(event.offsetX, event.offsetY);
    if (bar !== undefined) void openOrder(bar.order.id);
  });
}
