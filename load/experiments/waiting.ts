import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, monotonicMs } from "../../src/threads/index.ts";
import { eventually } from "../../test/support/eventually.ts";
import { drive } from "../drive.ts";
import { NO_DELAYS, startBareExpress } from "../lab/closed-loop.ts";
import { defineExperiment, eachRound, type Round, type Variant } from "../lab/experiment.ts";
import { residentKiB, tooFewFiles } from "../lab/proc.ts";
import { orderIds } from "../order-ids.ts";
import { pipelineOf } from "../pipeline-in-process.ts";
import { quantile } from "../quantile.ts";
import { ServerProcess } from "../server-process.ts";
import { atMost } from "../target.ts";
import { leaksOf, readCounters, settledCounters } from "../thread-counters.ts";

const [SERVICE, BARE, FEW] = ["this service", "bare Express", 10];
const cancelAmong = (orders: number) => `one cancel, ${orders} in flight`;
const THREADS = 2;
const LONG_MS = 600_000;
// No courier is waited for: behind the few there are, orders that hold them for so long would be refused.
const ALL_WAIT = perStep(() => LONG_MS);
const WAITS_LONG = { ...ALL_WAIT, courier: 0 };
// Idle memory is that of a server that has worked: its code is compiled, and the heaps of all threads have grown to the size that a small
// load needs. Otherwise this growth would count as memory of the waiting orders.
const WARM_UP = { connections: 64, seconds: 4, order: NO_DELAYS, answerHas: '"status":"ok"' };
const REST_MS = 3_000;
const SPARE_FILES = 200;
// Clearing thousands of orders at once on a busy machine may take its time; no thread is to be replaced for that here.
const GRACE_MS = 30_000;
// Lets the threads fall idle between two cancels, so that none is measured behind another.
const PAUSE_MS = 3;

// A listener's backlog is 511; connections beyond it would be dropped and tried again a second later.
const WAVE = 250;

/**
 * Orders that have been sent and get no answer for a long time, each on a connection of its own. Plain sockets: 10 000 of a real
 * client would cost more than what is measured.
 */
class HeldOrders implements Disposable {
  readonly #sockets: Socket[] = [];
  #answered = 0;

  /** Sends so many orders to `POST /order` of a port of 127.0.0.1; resolves when all are on their way. */
  static async send(port: number, count: number, order: Readonly<Record<string, unknown>>): Promise<HeldOrders> {
    const held = new HeldOrders();
    const nextId = orderIds();
    for (let sent = 0; sent < count; sent += WAVE) {
      const wave = Array.from({ length: Math.min(WAVE, count - sent) }, () => held.#sendOne(port, { order_id: nextId(), ...order }));
      await Promise.all(wave);
    }
    return held;
  }

  /** Orders that got an answer or lost their connection although they should have waited. */
  get answered(): number {
    return this.#answered;
  }

  /** All clients go away at once. */
  hangUp(): void {
    for (const socket of this.#sockets.splice(0)) socket.removeAllListeners("close").destroy();
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }

  async #sendOne(port: number, order: unknown): Promise<void> {
    const body = JSON.stringify(order);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    this.#sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => this.#answered++).once("close", () => this.#answered++);
    socket.write(
      `POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
}

interface Holder {
  readonly port: number;
  readonly pid: number;
  inFlight(): Promise<number>;
}

/** Warms a server up and has it hold so many orders. Throws when one of them is answered. */
async function hold(count: number, { port, pid, inFlight }: Holder): Promise<Round["figures"]> {
  await drive({ url: `http://127.0.0.1:${port}/order`, ...WARM_UP });
  await eventually("the server is idle", async () => (await inFlight()) === 0);
  await pause(REST_MS);
  const idleKib = residentKiB(pid);
  using orders = await HeldOrders.send(port, count, { amount: 1200, delay_ms: WAITS_LONG });
  await eventually(`${count} orders wait`, async () => (await inFlight()) === count || orders.answered > 0);
  await pause(REST_MS);
  const waitingKib = residentKiB(pid);
  if (orders.answered > 0) throw new Error(`${orders.answered} orders were answered instead of waiting`);
  return {
    idle: [idleKib / 1024, "MiB"],
    "with the orders": [waitingKib / 1024, "MiB"],
    "an order": [((waitingKib - idleKib) * 1024) / count, "bytes"],
  };
}

/** Each round has a process of its own: how much of its heap an idle one has in memory differs by a KB per order. */
function holdAtService(orders: number): Variant {
  const limits = {
    PAYMENT_CAPACITY: orders,
    VENDOR_CAPACITY: orders,
    MAX_IN_FLIGHT: Math.max(orders, WARM_UP.connections),
    MAX_CONNECTIONS: 2 * orders + WARM_UP.connections,
  };
  const settings = Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, String(limit)]));
  return eachRound(SERVICE, async ({ script }) => {
    const fixed = { THREADS: String(THREADS), COURIER_CAPACITY: "128", ORDER_TIMEOUT_MS: String(LONG_MS) };
    await using service = await ServerProcess.start({ ...fixed, ...settings }, script);
    const { port, pid, adminUrl } = service;
    const figures = await hold(orders, { port, pid, inFlight: async () => (await readCounters(adminUrl)).orders_in_flight });
    // All clients have hung up at one moment.
    const counters = await settledCounters(adminUrl);
    const leaks = leaksOf(counters);
    const ended = await service.stop();
    if (ended !== "code 0") leaks.push(`the server ended with ${ended} after SIGTERM`);
    if (leaks.length > 0) throw new Error(`after all clients hung up: ${leaks.join("; ")}`);
    return { figures: { ...figures, "threads replaced": [counters.replaced, ""] } };
  });
}

function holdAtBareExpress(orders: number): Variant {
  const round = async (): Promise<Round> => {
    await using stack = new AsyncDisposableStack();
    const { orderUrl, process } = await startBareExpress(stack, {}, ["hold"]);
    const inFlight = async () => Number(await (await fetch(new URL("/held", orderUrl))).text());
    return {
      figures: {
        ...(await hold(orders, { port: Number(new URL(orderUrl).port), pid: process.pid, inFlight })),
        "threads replaced": [0, ""],
      },
    };
  };
  return eachRound(BARE, round, false);
}

interface WaitingOrder {
  readonly scope: CancelScope<CancelCause>;
  readonly outcome: Promise<OrderOutcome>;
}

/** What the cancel of one order costs while so many are in flight: how long its call holds the main thread, and until its steps have stopped. */
function cancel(inFlight: number, cancels: number): Variant {
  return {
    name: cancelAmong(inFlight),
    ofTree: true,
    async open({ stack, script }) {
      const PipelineInProcess = await pipelineOf(script);
      const pipeline = stack.use(
        await PipelineInProcess.start({ threads: THREADS, cpuThreads: 1, orders: inFlight, cancelGraceMs: GRACE_MS }),
      );
      const waiting: WaitingOrder[] = [];
      const place = (): void => {
        const scope = new CancelScope<CancelCause>();
        waiting.push({ scope, outcome: pipeline.run({ delayMs: ALL_WAIT }, scope) });
      };
      while (waiting.length < inFlight) place();
      await eventually(`${inFlight} orders run`, () => pipeline.stepsRunning === STEPS.length * inFlight);
      stack.defer(async () => {
        for (const { scope } of waiting) scope.cancel("client_disconnected");
        await Promise.all(waiting.map(({ outcome }) => outcome));
      });
      const round = async (): Promise<Round> => {
        const [callMs, stopMs]: [number[], number[]] = [[], []];
        for (let n = 0; n < cancels; n++) {
          // The oldest goes and a new one comes: all of them take their turn, wherever they are stored.
          const { scope, outcome } = waiting.shift() as WaitingOrder;
          const beginMs = monotonicMs();
          scope.cancel("client_disconnected");
          callMs.push(monotonicMs() - beginMs);
          const { steps } = await outcome;
          stopMs.push(Math.max(...steps.map(({ endedAtMs }) => endedAtMs)) - beginMs);
          place();
          await pause(PAUSE_MS);
        }
        if (pipeline.threadsReplaced > 0) throw new Error("threads were replaced: what was measured was not the cancel");
        const figure = (values: readonly number[], q: number) => [quantile(values, q), "ms"] as const;
        return {
          figures: {
            "call, p50": figure(callMs, 0.5),
            "call, p99": figure(callMs, 0.99),
            "stopped, p50": figure(stopMs, 0.5),
            "stopped, p99": figure(stopMs, 0.99),
          },
        };
      };
      await round();
      return round;
    },
  };
}

export const experiment = defineExperiment({
  question: "What memory does a waiting order hold, beside bare Express, and does a cancel cost more among many of them?",
  defaults: { rounds: 3, orders: 10_000, cancels: 300 },
  about: { orders: "that wait at one time", cancels: "of a round, one after the other" },
  lab: {},
  missing: ({ orders }) => tooFewFiles(orders + SPARE_FILES),
  variants: ({ orders, cancels }) => [holdAtService(orders), holdAtBareExpress(orders), cancel(FEW, cancels), cancel(orders, cancels)],
  targets: (seen, { orders }) => [
    atMost("memory of a waiting order", seen.median(SERVICE, "an order"), 17_500, " bytes"),
    atMost("threads replaced when all clients hung up at one moment", seen.most(SERVICE, "threads replaced"), 0),
    ...["call, p50", "stopped, p50"].map((figure) =>
      atMost(`a cancel's ${figure}, among ${orders} over that among ${FEW}`, seen.ratio(figure, cancelAmong(orders), cancelAmong(FEW)), 2),
    ),
  ],
});
