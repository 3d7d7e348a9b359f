import { byId } from "./elements.js";
import { listen } from "./feed.js";
import { figures } from "./figures/figures.js";
import { announce, header } from "./header.js";
import { orderDialog } from "./orders/order-dialog.js";
import { orders } from "./orders/orders.js";
import { recovery } from "./recovery.js";
import { ServerClock } from "./server-clock.js";
import { stuck } from "./stuck/stuck.js";
import { upkeep } from "./stuck/upkeep.js";
import { threadsPanel } from "./threads/threads-panel.js";
import { trouble } from "./trouble/trouble.js";

// Words change once a second; faster nobody can read them.
const SHOWN_EVERY_TICKS = 4;

const clock = new ServerClock();
const openOrder = orderDialog();
const head = header();
const recovered = recovery(announce);
const threads = threadsPanel(clock, openOrder);
const figuresPanel = figures();
const ordersPanel = orders(clock, openOrder);
const stuckPanel = stuck(announce, openOrder, clock);
const showReceiver = upkeep(announce);
const showTrouble = trouble(byId("trouble-body", HTMLElement), announce);

/** @type {number | undefined} */
let pid;
let ticks = 0;

listen({
  onHello(hello) {
    recovered.hello(hello);
    clock.restart(hello.now, hello.now_since_1970_ms);
    head.hello(hello);
    threads.hello(hello);
    ordersPanel.hello(hello.steps);
    showTrouble(hello.simulated);
    stuckPanel.hello(hello);
    figuresPanel.hello(hello.steps, pid !== undefined && pid !== hello.pid);
    pid = hello.pid;
  },
  onTick(tick) {
    // The header and the figures change on the same ticks, so that they do not contradict each other.
    const isShown = ticks === 0 || (ticks + 1) % SHOWN_EVERY_TICKS === 0;
    ticks++;
    clock.received(tick.now);
    threads.add(tick, isShown);
    head.add(tick, isShown, threads.shares);
    recovered.add(tick);
    figuresPanel.add(tick);
    ordersPanel.add(tick);
    showReceiver(tick.receiver);
    head.setAlarm(stuckPanel.add(tick));
    void stuckPanel.settled().then(showPanels);
  },
  onState(state) {
    threads.setLive(state === "live");
    head.setState(state);
    if (state !== "live") showPanels();
  },
});

/** Until the first message nobody knows which panels there are and which comes first, and nothing shall jump. */
function showPanels() {
  document.body.classList.remove("starting");
}

// Tabbing reaches the tables, so that the arrow keys scroll them.
for (const area of document.querySelectorAll("section.scroll")) /** @type {HTMLElement} */ (area).tabIndex = 0;
