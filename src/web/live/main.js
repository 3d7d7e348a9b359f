/** @import { Hello, Tick } from "../../admin/live/messages.ts" */
import { byId, element, table } from "./elements.js";
import { listen } from "./feed.js";
import { figures } from "./figures.js";
import { drawWhileVisible } from "./frames.js";
import { Lanes } from "./lanes.js";
import { orderDialog } from "./order-dialog.js";
import { orders } from "./orders.js";
import { ServerClock } from "./server-clock.js";
import { stuck } from "./stuck.js";
import { trouble } from "./trouble.js";
import { age, duration, short } from "./words.js";

const clock = new ServerClock();
const canvas = byId("lanes", HTMLCanvasElement);
const lanes = new Lanes(canvas, clock);
const announcement = byId("announce", HTMLElement);
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
  },
  onTick(tick) {
    clock.heard(tick.now);
    lanes.model.tick(tick);
    figuresPanel.add(tick);
    ordersPanel.add(tick);
    stuckPanel.add(tick);
    latest = tick;
    if (ticks++ % 4 !== 0) return;
    glance(tick);
    showSampling();
    if (threadsDetails.open) showThreads(tick);
  },
  onState(state) {
    lanes.isLive = state === "live";
    const link = byId("link", HTMLElement);
    link.dataset.state = state;
    if (state === "live") {
      byId("link-text", HTMLElement).textContent = `live, process ${pid}`;
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
  if (announcement.textContent !== text) announcement.textContent = text;
}

/** @param {HTMLElement} place */
function glanceAt(place) {
  const names = ["orders a second", "p99", "in flight", "cancel p50", "threads"];
  const values = names.map(() => element("dd", {}, "–"));
  place.append(...names.map((name, index) => element("div", {}, element("dt", {}, name), /** @type {HTMLElement} */ (values[index]))));
  /** @type {Tick[]} */
  let recent = [];
  return (/** @type {Tick} */ tick) => {
    recent = [...recent, tick].slice(-4);
    const { ended } = lanes.model.shares();
    const latest = recent.findLast(({ order_ms }) => order_ms !== null)?.order_ms;
    const cancel = recent.findLast(({ cancel_ms }) => cancel_ms !== null)?.cancel_ms;
    const texts = [
      short(ended / 10),
      latest ? duration(latest.p99) : "–",
      short(tick.in_flight),
      cancel ? duration(cancel.p50) : "–",
      `${tick.threads.length}${tick.replaced_total > 0 ? `, ${short(tick.replaced_total)} replaced` : ""}`,
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
    key("waits", "pale: waits, beside many others"),
    key("computes", "solid: computes, on a thread of its own"),
    key("failure", "failed; a line to each step it stopped"),
    key("undo", "was undone"),
    key("load", "in hand; of main and journal how busy"),
    key("late", "a timer came late"),
  );
}

/** @param {Tick} tick */
function showThreads({ threads, loop }) {
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
