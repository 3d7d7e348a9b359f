import { ask, Refused } from "../admin-api.js";
import { counted, duration, short, spoken } from "../words.js";

/**
 * @typedef {object} Trouble
 * @property {string} name
 * @property {string} watch
 * @property {string} go
 * @property {(say: (text: string) => void) => Promise<string>} make resolves to what came of it
 */

const STUCK_FOR_MS = 5_000;
// After this the orders that were just placed run.
const UNDER_WAY_MS = 400;
// Longer than the defaults, so that each bar has room for its name.
const SEEN_MS = { payment: 500, vendor: 700, courier: 400 };
// A thread that computes starts with the first step that needs it; this is longer.
const THREAD_HAS_BEGUN_MS = 800;
const LOOK_EVERY_MS = 150;
const ORDERS_AT_A_KILL = 12;
const ORDERS_AT_A_CRASH = 30;

/** A button for each way in which an order can end, for load, and for faults of threads and of the process. @type {readonly { title: string, troubles: readonly Trouble[] }[]} */
export const TROUBLES = [
  {
    title: "How an order ends",
    troubles: [
      {
        name: "Place an order",
        watch: "three bars that begin at one time, on any threads",
        go: "three goroutines in an errgroup",
        make: () => place({ order: { delay_ms: SEEN_MS } }),
      },
      {
        name: "Fail a payment",
        watch:
          "an arrow from the payment to the vendor, whose loop computes on a thread of its own and is cut short; the courier, who was assigned, is compensated",
        go: "ctx is canceled; a loop stops where it looks",
        make: () =>
          place({
            order: {
              fail_step: "payment",
              delay_ms: { payment: THREAD_HAS_BEGUN_MS, courier: SEEN_MS.courier },
              cpu_ms: { vendor: 1_500 },
            },
          }),
      },
      {
        name: "Fail a vendor late",
        watch: "the courier stops, the payment is refunded",
        go: "the same; the refund is yours to write",
        make: () => place({ order: { fail_step: "vendor", delay_ms: { vendor: 600, courier: 1_500 } } }),
      },
      {
        name: "No courier",
        watch: "the vendor stops, the payment is refunded",
        go: "the same; the refund is yours to write",
        make: () => place({ order: { fail_step: "courier", delay_ms: { payment: 50, vendor: 1_500, courier: 500 } } }),
      },
      {
        name: "Time out",
        watch: "at the deadline an arrow from the main thread to the vendor",
        go: "context.WithTimeout closes ctx.Done()",
        make: () => place({ order: { delay_ms: { vendor: 60_000 } } }),
      },
      {
        name: "Hang up",
        watch: "the client leaves, and arrows from the main thread stop its steps",
        go: "net/http cancels r.Context()",
        make: () => place({ order: { delay_ms: { vendor: 1_500, courier: 1_500 } }, hang_up_ms: 300 }),
      },
    ],
  },
  {
    title: "Load",
    troubles: [
      {
        name: "200 orders at once",
        watch: "few couriers: whoever would wait past the deadline is refused at once, before any step",
        go: "200 goroutines wait at a semaphore until their deadline",
        make: () => place({ count: 200, order: { delay_ms: { payment: 60, vendor: 80, courier: 30 } } }),
      },
      {
        name: "Storm: 2000 fail",
        watch: "thousands of steps stop, and no thread is lost",
        go: "about as fast (docs/threads-against-goroutines.md has the figures)",
        make: () =>
          place({ count: 2_000, at_once: 60, order: { fail_step: "payment", delay_ms: { payment: 60, vendor: 800, courier: 800 } } }),
      },
      {
        name: "Compute",
        watch: "striped bars on threads of their own; the main thread stays calm",
        go: "goroutines are preempted; GOMAXPROCS of them run",
        make: () => place({ order: { cpu_ms: { payment: 1_200, vendor: 1_200 } } }),
      },
    ],
  },
  {
    title: "Faults",
    troubles: [
      {
        name: "Kill a thread",
        watch: "each order with a step on it fails as internal, the others go on; a new thread takes the lane",
        go: "a panic in one goroutine ends the process, with every order",
        make: killThread,
      },
      {
        name: "Stick a thread",
        watch: "a gray bar: a step that does not stop when it is told to, so its thread is replaced after a while",
        go: "a loop that ignores ctx runs on for good",
        make: stickThread,
      },
      {
        name: "Crash the process",
        watch: "kill -9 with orders in flight; the next start compensates them, and the line on top counts them",
        go: "the same, once you have written a journal",
        make: crash,
      },
    ],
  },
];

/** @param {(text: string) => void} say */
async function killThread(say) {
  // One step of each runs by then, so that orders whose step is on another thread can be seen to go on.
  const placed = placeAside({ count: ORDERS_AT_A_KILL, order: { delay_ms: { payment: 20, vendor: 1_400, courier: 20 } } });
  await pause(UNDER_WAY_MS);
  const { killed } = await ask("/chaos/kill-thread", {});
  say(`killed thread #${killed}`);
  const { orders, ended } = await placed;
  const { internal = 0, ...others } = ended;
  return `${internal} of ${orders} failed${Object.keys(others).length > 0 ? `, ${inWords(others)}` : ""}; each that failed had a step on thread #${killed}, which was killed`;
}

/** @param {(text: string) => void} say */
async function stickThread(say) {
  const before = (await ask("/debug/threads")).replaced;
  const beganMs = performance.now();
  await ask("/chaos/stick-thread", { ms: STUCK_FOR_MS });
  for (;;) {
    const ms = performance.now() - beganMs;
    if ((await ask("/debug/threads")).replaced > before) return `replaced after ${duration(ms)}`;
    if (ms > STUCK_FOR_MS) return "it came back by itself";
    say("a thread is stuck");
    await pause(LOOK_EVERY_MS);
  }
}

/** @param {(text: string) => void} say */
async function crash(say) {
  placeAside({ count: ORDERS_AT_A_CRASH, order: { delay_ms: { payment: 50, vendor: 1_800, courier: 20 } } });
  await pause(UNDER_WAY_MS);
  const { orders } = await ask("/orders?status=running&limit=500");
  say(`${orders.length} orders in flight`);
  // By then the lanes show them.
  await pause(UNDER_WAY_MS);
  await ask("/chaos/crash", {});
  return `${orders.length} were in flight; npm run demo starts it again, or you do`;
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Places orders whose refusal nobody may wait for: the process ends under them, or what was to happen to them is refused. @param {unknown} request */
function placeAside(request) {
  const placed = ask("/chaos/orders", request);
  placed.catch((error) => {
    if (!(error instanceof Refused)) throw error;
  });
  return placed;
}

/** @param {unknown} request */
async function place(request) {
  const { orders, ended, placed_again } = await ask("/chaos/orders", request);
  if (orders === 1) return spoken(Object.keys(ended)[0] ?? "");
  return `${inWords(ended)}${placed_again > 0 ? `; ${counted(placed_again, "time")} refused at first, then placed again` : ""}`;
}

/** @param {Readonly<Record<string, number>>} ended */
function inWords(ended) {
  return Object.entries(ended)
    .map(([kind, count]) => `${short(count)} ${kind === "overloaded" ? "refused" : spoken(kind)}`)
    .join(", ");
}
