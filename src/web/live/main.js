import { byId } from "./elements.js";
import { listen } from "./feed.js";
import { figures } from "./figures/figures.js";
import { announce, header } from "./header.js";
import { orderDialog } from "./orders/order-dialog.js";
import { orders } from "./orders/orders.js";
import { ServerClock } from "./server-clock.js";
import { stuck } from "./stuck/stuck.js";
import { threadsPanel } from "./threads/threads-panel.js";
import { trouble } from "./trouble/trouble.js";

// Words change once a second; faster nobody can read them.
const SHOWN_EVERY_TICKS = 4;

const clock = new ServerClock();
const openOrder = orderDialog();
const head = header();
const threads = threadsPanel(clock, openOrder);
const figuresPanel = figures();
const ordersPanel = orders(clock, openOrder);
const stuckPanel = stuck(announce, openOrder);
const showTrouble = trouble(byId("trouble-body", HTMLElement), announce);

/** @type {number | undefined} */
let pid;
let ticks = 0;

listen({
  onHello(hello) {
    clock.restart(hello.now, hello.now_since_1970_ms);
    head.hello(hello);
    threads.hello(hello);
    ordersPanel.hello(hello.steps);
    showTrouble(hello.simulated);
    figuresPanel.hello(hello.steps, pid !== undefined && pid !== hello.pid);
    pid = hello.pid;
  },
  onTick(tick) {
    // The header and the figures change on the same ticks, so that they do not contradict each other.
    const isShown = ticks === 0 || (ticks + 1) % SHOWN_EVERY_TICKS === 0;
    ticks++;
    clock.received(tick.now);
    threads.add(tick, isShown);
    head.add(tick, isShown, threads.ended);
    figuresPanel.add(tick);
    ordersPanel.add(tick);
    stuckPanel.add(tick);
  },
  onState(state) {
    threads.setLive(state === "live");
    head.setState(state);
  },
});

// Tabbing reaches the tables, so that the arrow keys scroll them.
for (const area of document.querySelectorAll("section.scroll")) /** @type {HTMLElement} */ (area).tabIndex = 0;
