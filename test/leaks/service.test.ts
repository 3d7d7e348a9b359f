import { request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import type { AnswerBody } from "../../src/orders/answer.ts";
import type { Order, OrderService, Placement } from "../../src/orders/order-service.ts";
import { Refused } from "../../src/orders/refused.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import type { Service } from "../../src/service.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";
import { startService } from "../support/service.ts";
import { runUntilSeen, type Sight } from "../support/until-seen.ts";
import { type Counts, countAtRest, countOf, osThreads, settleProcess } from "./counts.ts";
import { timers } from "./timers.ts";

const SEED = seedOf("STORM_SEED");
const LONG = 60_000;
const STORM_LIMIT_MS = 60_000;

/** What orders may leave behind outside the threads. */
interface ServiceCounts extends Counts {
  readonly ordersInFlight: number;
  readonly compensating: number;
}

function count({ threads, capacities, orderService, compensator }: Service): ServiceCounts {
  return { ...countOf(threads, capacities), ordersInFlight: orderService.inFlight, compensating: compensator.inFlight };
}

// The queues look for what is due when the service has started, one after another, each with a timer of 20 ms.
const FIRST_LOOKS_MS = 400;

async function atRest({ threads, capacities }: Service): Promise<ServiceCounts> {
  let fewest = timers();
  for (const end = performance.now() + FIRST_LOOKS_MS; performance.now() < end; await pause(5)) fewest = Math.min(fewest, timers());
  return { ...(await countAtRest(threads, capacities)), timers: fewest, ordersInFlight: 0, compensating: 0 };
}

/** Compensations that are rows and not done. */
async function pendingRows({ journal }: Service): Promise<number> {
  const { compensations } = await journal.backlog();
  return STEPS.reduce((sum, step) => sum + compensations[step].count, 0);
}

/** Places orders and waits for all, so that whatever stays for good after the first ones is there. */
async function warmUp({ orderService }: Service): Promise<void> {
  const simulation = { delayMs: perStep(() => 0), cpuMs: { payment: 1 } };
  for (let n = 0; n < 5; n++) await (await orderService.place({ order: { orderId: `warm-${n}`, amount: 1, simulation } })).answer;
}

/** The largest of each count that was ever seen. */
class Peaks {
  readonly #peaks: Record<string, number> = {};

  note(counts: ServiceCounts): void {
    for (const [name, value] of Object.entries(counts)) this.#peaks[name] = Math.max(this.#peaks[name] ?? 0, value ?? 0);
  }

  /** Nothing is worth a zero afterwards that was not above it before. */
  expectAbove(rest: ServiceCounts): void {
    const { osThreads: _osThreads, threads: _threads, ...moving } = rest;
    for (const [name, value] of Object.entries(moving))
      expect([name, this.#peaks[name]]).toEqual([name, expect.toSatisfy((n) => n > value)]);
  }
}

const ALL_THREADS = { exclusiveAtStart: true };
// No thread may be lost, however slow the machine is.
const LONG_DEADLINES = { THREADS: "2", CPU_THREADS: "1", ORDER_TIMEOUT_MS: "60000", CANCEL_GRACE_MS: "20000" };

test("clients that hang up leave nothing behind", async () => {
  await using running = await startService({ ...LONG_DEADLINES, COURIER_CAPACITY: "8" }, ALL_THREADS);
  const { service, port } = running;
  await warmUp(service);
  const rest = await atRest(service);
  const started = service.threads.totals().started;
  const clients = Array.from({ length: 12 }, (_, n) => {
    // Every third one computes; with one exclusive thread, all but one of those wait for it. Eight have a courier, four wait.
    const cpu = n % 3 === 0 ? { cpu_ms: { payment: LONG } } : {};
    const body = JSON.stringify({ order_id: `h-${n}`, amount: 1, delay_ms: perStep(() => LONG), ...cpu });
    const client = request({ port, host: "127.0.0.1", method: "POST", path: "/order", agent: false });
    client.on("error", () => {});
    client.end(body);
    return client;
  });
  // Payments, couriers, and the steps that wait for nothing.
  const runningSteps = 8 + 1 + 8 + 12 * (STEPS.length - 2);
  await eventually("all orders to run", () => service.threads.totals().running === runningSteps);
  expect(count(service)).toMatchObject({
    groups: 12,
    unfinished: runningSteps,
    exclusivePermits: 1,
    exclusiveWaiting: 3,
    permits: 12 * (STEPS.length - 1) + 8,
    waiting: 4,
    timers: rest.timers + 12,
  });
  for (const client of clients) client.destroy();
  // A client that is gone gets no answer to wait for; the order service knows when its order has ended.
  await eventually("the orders to end", () => service.orderService.inFlight === 0);
  expect(count(service)).toEqual(rest);
  // Those that waited never ran.
  expect(service.threads.totals().started).toBe(started + runningSteps);
  expect(running.logged.filter(({ level }) => level >= 40)).toEqual([]);
});

interface Planned {
  readonly order: Order;
  /** The client leaves so many milliseconds after it asked. */
  readonly leaveMs?: number;
}

/** One order of the storm. Short ones, failing ones, ones that only the deadline ends, abandoned ones, computing ones. */
function planned(n: number, random: () => number): Planned {
  const one = (): StepName => STEPS[Math.floor(random() * STEPS.length)] as StepName;
  const all = (ms: () => number) => perStep(() => ms());
  const short = () => Math.floor(random() * 6);
  const order = (simulation: NonNullable<Order["simulation"]>): Order => ({ orderId: `s-${n}`, amount: 1, simulation });
  const dice = random();
  if (dice < 0.3) return { order: order({ delayMs: all(short) }) };
  if (dice < 0.6) {
    const failing = one();
    const slow = { ...all(() => LONG), [failing]: short() };
    return { order: order({ delayMs: slow, failStep: failing }) };
  }
  if (dice < 0.65) return { order: order({ delayMs: { ...all(short), [one()]: LONG } }) };
  if (dice < 0.75) return { order: order({ delayMs: all(short), cpuMs: { [one()]: 1 + Math.floor(random() * 3) } }) };
  const leaveMs = Math.floor(random() * 8);
  if (dice < 0.95) return { order: order({ delayMs: all(() => Math.floor(random() * 10)) }), leaveMs };
  return { order: order({ delayMs: all(short), cpuMs: { [one()]: LONG } }), leaveMs };
}

interface Storm {
  readonly orders: number;
  /** The kinds of answers that have to be seen, each once at least. */
  readonly kinds: readonly string[];
  readonly more?: readonly Sight[];
  readonly onMoment: (n: number) => void;
}

/** As a client does that comes again after `overloaded`. */
async function placeOnceAdmitted(orderService: Pick<OrderService, "place">, order: Order, signal: AbortSignal): Promise<Placement> {
  for (;;) {
    try {
      return await orderService.place({ order, signal });
    } catch (error) {
      if (!(error instanceof Refused) || error.kind !== "overloaded") throw error;
      await pause(1);
    }
  }
}

/** Keeps 64 orders in flight until so many have been answered and everything has been seen. Gives the kinds of answers. */
async function storm({ orderService }: Service, { orders, kinds, more = [], onMoment }: Storm): Promise<Set<string>> {
  const random = randomFrom(SEED);
  const seen = new Set<string>();
  let answered = 0;
  const sights = [
    { what: "orders", atLeast: orders, seen: () => answered },
    ...kinds.map((kind) => ({ what: kind, atLeast: 1, seen: () => Number(seen.has(kind)) })),
    ...more,
  ];
  const placed = await runUntilSeen({ clients: 64, sights, limitMs: STORM_LIMIT_MS }, async (n) => {
    const { order, leaveMs } = planned(n, random);
    const client = new AbortController();
    const placement = await placeOnceAdmitted(orderService, order, client.signal);
    onMoment(n);
    const leaving =
      leaveMs === undefined
        ? undefined
        : setTimeout(() => {
            client.abort();
            onMoment(n);
          }, leaveMs);
    const answer: AnswerBody = JSON.parse((await placement.answer).json);
    clearTimeout(leaving);
    answered++;
    const kind = answer.error?.kind ?? answer.status;
    seen.add(kind);
    expect(answer.steps).toHaveLength(STEPS.length);
    const failStep = order.simulation?.failStep;
    if (Object.values<string>(FAILURES).includes(kind)) expect(failStep && FAILURES[failStep]).toBe(kind);
  });
  expect(answered).toBe(placed);
  return seen;
}

const FAILURES = perStep((step) => STEP_TABLE[step].simulated.failsWith);

const OVERLAY = { THREADS: "2", CPU_THREADS: "2", ORDER_TIMEOUT_MS: "250", COURIER_CAPACITY: "40" };

test(`a storm of 2000 mixed orders leaves nothing behind (seed ${SEED})`, async () => {
  await using running = await startService({ ...OVERLAY, CANCEL_GRACE_MS: "20000" }, ALL_THREADS);
  const { service } = running;
  await warmUp(service);
  const rest = await atRest(service);
  const peaks = new Peaks();
  const kinds = ["canceled", "ok", "timeout", ...Object.values(FAILURES)];
  const onMoment = (n: number) => n % 3 === 0 && peaks.note(count(service));
  const seen = await storm(service, { orders: 2_000, kinds, onMoment });
  expect(count(service)).toEqual(rest);
  peaks.expectAbove(rest);
  expect([...seen].sort()).toEqual(kinds.sort());
  expect(service.threads.statistics().replaced.size).toBe(0);
  expect(running.logged.filter(({ level }) => level >= 40)).toEqual([]);
});

test(`a storm in which threads are killed leaves nothing behind (seed ${SEED})`, async () => {
  await using running = await startService({ ...OVERLAY, CANCEL_GRACE_MS: "20000" }, ALL_THREADS);
  const { service } = running;
  await warmUp(service);
  const rest = await atRest(service);
  let kills = 0;
  await storm(service, {
    orders: 1_000,
    kinds: ["ok", "internal"],
    more: [{ what: "kills", atLeast: 6, seen: () => kills }],
    onMoment(n) {
      if (n % 100 === 50 && service.threads.killThread() !== undefined) kills++;
    },
  });
  // A compensation that was lost with its thread is tried again after a pause.
  await eventually("everything to be compensated", async () => service.compensator.inFlight === 0 && (await pendingRows(service)) === 0);
  const { osThreads: _osThreads, threads: _threads, timers: _timers, ...counters } = count(service);
  const { osThreads: _before, threads: _threadsBefore, timers: _timersBefore, ...zeros } = rest;
  expect(counters).toEqual(zeros);
  // A queue looks once more for what it has tried, when that would have been due again.
  await eventually("no timer to be left", () => count(service).timers === rest.timers, Boolean, 20_000);
  // Replacements take their time to start.
  await eventually("all threads to be up again", () => count(service).threads === rest.threads && osThreads() === rest.osThreads);
  expect(count(service)).toEqual(rest);
  expect(Object.fromEntries(service.threads.statistics().replaced)).toEqual({ killed: kills });
});

test("a shutdown in the middle leaves nothing behind, the service itself included", async () => {
  await settleProcess();
  const before = { osThreads: osThreads(), timers: timers() };
  const { service, logged } = await startService({ ...LONG_DEADLINES, SHUTDOWN_TIMEOUT_MS: "50" }, ALL_THREADS);
  expect(timers()).toBeGreaterThan(before.timers);
  const places = Array.from({ length: 20 }, (_, n) => {
    const delayMs = perStep(() => LONG);
    const simulation = n % 4 === 0 ? { delayMs, cpuMs: { vendor: LONG } } : { delayMs };
    return service.orderService.place({ order: { orderId: `d-${n}`, amount: 1, simulation } });
  });
  const placements = await Promise.all(places);
  // Vendors, couriers, and the steps that wait for nothing.
  const runningSteps = 15 + 1 + 5 + 20 * (STEPS.length - 2);
  await eventually("all orders to run", () => service.threads.totals().running === runningSteps);
  expect(count(service)).toMatchObject({
    groups: 20,
    // Those that wait for the exclusive thread too.
    unsettled: runningSteps + 4,
    permits: 20 * (STEPS.length - 1) + 5,
    waiting: 15,
    exclusivePermits: 1,
    exclusiveWaiting: 4,
  });

  const stopped = service.stop();
  let last: ServiceCounts | undefined;
  const answers = await Promise.all(placements.map(({ answer }) => answer.finally(() => (last = count(service)))));
  for (const { error, json } of answers) {
    expect(error).toBe("canceled");
    const { steps }: AnswerBody = JSON.parse(json);
    expect(steps.map(({ status, detail }) => [status, detail])).toEqual(STEPS.map(() => ["canceled", "shutdown"]));
  }
  expect(last).toMatchObject({ running: 0, unfinished: 0, groups: 0, unsettled: 0, permits: 0, waiting: 0, exclusivePermits: 0 });
  await stopped;
  expect(service.threads.statistics().threads).toEqual([]);
  expect(service.threads.totals()).toEqual({ running: 0, started: runningSteps, finished: runningSteps });
  expect(count(service)).toMatchObject({ groups: 0, unsettled: 0, permits: 0, waiting: 0, watchedGroups: 0, threads: 0 });
  expect(timers()).toBe(before.timers);
  await eventually("the threads to be gone", () => osThreads() === before.osThreads);
  expect(logged.filter(({ level }) => level >= 40)).toEqual([]);
});
