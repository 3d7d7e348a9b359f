import { ask, Refused } from "../admin-api.js";
import { element } from "../elements.js";
import { short, spoken } from "../words.js";

/**
 * @typedef {object} Trouble
 * @property {string} name
 * @property {string} watch
 * @property {string} go
 * @property {(say: (text: string) => void) => Promise<string>} make
 */

const FIVE_SECONDS = 5_000;
// After this the orders that were just placed run.
const UNDER_WAY_MS = 400;

/** @type {readonly Trouble[]} */
const TROUBLES = [
  {
    name: "Place an order",
    watch: "three bars that begin at once, on any threads",
    go: "three goroutines in an errgroup",
    make: () => place({}),
  },
  {
    name: "Fail a payment",
    watch: "a line from payment to the vendor it stops",
    go: "ctx is canceled; a goroutine stops where it looks",
    make: () => place({ order: { fail_step: "payment" } }),
  },
  {
    name: "Fail a vendor late",
    watch: "the courier stops, the payment is refunded",
    go: "the same; the refund is yours to write",
    make: () => place({ order: { fail_step: "vendor", delay_ms: { vendor: 600, courier: 1_500 } } }),
  },
  {
    name: "Time out",
    watch: "at the deadline a line from the main thread",
    go: "context.WithTimeout closes ctx.Done()",
    make: () => place({ order: { delay_ms: { vendor: 60_000 } } }),
  },
  {
    name: "Hang up",
    watch: "its client leaves, and its steps stop",
    go: "net/http cancels r.Context()",
    make: () => place({ order: { delay_ms: { vendor: 1_500, courier: 1_500 } }, hang_up_ms: 300 }),
  },
  {
    name: "200 orders at once",
    watch: "few couriers: most wait, some may be refused",
    go: "200 goroutines wait at a semaphore",
    make: () => place({ count: 200, order: { delay_ms: { payment: 60, vendor: 80, courier: 30 } } }),
  },
  {
    name: "Storm: 2000 fail",
    watch: "thousands of steps stop, and no thread is lost",
    go: "about as fast (docs/ has the figures)",
    make: () => place({ count: 2_000, at_once: 60, order: { fail_step: "payment", delay_ms: { payment: 60, vendor: 800, courier: 800 } } }),
  },
  {
    name: "Compute",
    watch: "striped bars; main, the event loop, stays calm",
    go: "preempts goroutines; GOMAXPROCS of them run",
    make: () => place({ order: { cpu_ms: { payment: 1_200, vendor: 1_200 } } }),
  },
  {
    name: "Kill a thread",
    watch: "its orders are answered, a new thread comes",
    go: "a panic in one goroutine ends the process",
    async make(say) {
      const orders = place({ count: 12, order: { delay_ms: { payment: 1_200, vendor: 1_400, courier: 50 } } });
      await new Promise((resolve) => setTimeout(resolve, UNDER_WAY_MS));
      const { killed } = await ask("/chaos/kill-thread", {});
      say(`killed thread #${killed}`);
      return `killed thread #${killed}; ${await orders}`;
    },
  },
  {
    name: "Stick a thread",
    watch: "it ignores its cancel: replaced a second after its grace",
    go: "a loop that ignores ctx runs on",
    async make() {
      await ask("/chaos/stick-thread", { ms: FIVE_SECONDS });
      return "a thread is stuck";
    },
  },
  {
    name: "Crash the process",
    watch: "start it again: the page is back, nothing lost",
    go: "the same, once you have written a journal",
    async make() {
      await ask("/chaos/crash", {});
      return "the process is gone; start it again";
    },
  },
];

/**
 * The panel of the trouble: buttons, while providers are simulated.
 *
 * @param {HTMLElement} place
 * @param {(text: string) => void} announce
 * @returns {(simulated: boolean) => void}
 */
export function trouble(place, announce) {
  /** @type {boolean | undefined} */
  let before;
  return (simulated) => {
    if (simulated === before) return;
    before = simulated;
    // With real providers there is no such route, and the other panels take the room.
    document.body.classList.toggle("real", !simulated);
    if (simulated) place.replaceChildren(element("ul", { class: "troubles" }, ...TROUBLES.map((one) => item(one, announce))));
    else place.replaceChildren();
  };
}

/** @param {Trouble} trouble @param {(text: string) => void} announce */
function item({ name, watch, go, make }, announce) {
  const id = `trouble-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  const button = element("button", { type: "button", id, "aria-describedby": `${id}-watch ${id}-go` }, name);
  const says = element("output", { class: "says", for: id });
  let running = 0;
  const say = (/** @type {string} */ text) => {
    says.textContent = text;
  };
  button.addEventListener("click", async () => {
    running++;
    button.classList.add("running");
    say("under way");
    try {
      const text = await make(say);
      say(text);
      announce(`${name}: ${text}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(error.message);
      announce(`${name}: ${error.message}`);
    } finally {
      if (--running === 0) button.classList.remove("running");
    }
  });
  return element(
    "li",
    {},
    element("div", { class: "do" }, button, says),
    element("p", { id: `${id}-watch`, class: "watch" }, element("b", {}, "Watch "), watch),
    element("p", { id: `${id}-go`, class: "go" }, element("b", {}, "Go "), go),
  );
}

/** @param {unknown} request */
async function place(request) {
  const { orders, ended } = await ask("/chaos/orders", request);
  if (orders === 1) return spoken(Object.keys(ended)[0] ?? "");
  return Object.entries(ended)
    .map(([kind, count]) => `${short(/** @type {number} */ (count))} ${spoken(kind)}`)
    .join(", ");
}
