import { request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import type { AnswerBody } from "../../src/orders/answer.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import type { Service } from "../../src/service.ts";
import { eventually } from "../support/eventually.ts";
import { startService } from "../support/service.ts";
import { type Counts, countAtRest, countersOf, countOf, osThreads, settleProcess } from "./counts.ts";
import { FAILURES, STORM_SEED, storm } from "./storm.ts";
import { timers } from "./timers.ts";

const LONG = 60_000;

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
    for (const [name, value] of Object.entries({ ...countersOf(rest), timers: rest.timers }))
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
  const started = service.threads.statistics().started;
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
  await eventually("all orders to run", () => service.threads.statistics().running === runningSteps);
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
  expect(service.threads.statistics().started).toBe(started + runningSteps);
  expect(running.logged.filter(({ level }) => level >= 40)).toEqual([]);
});

const OVERLAY = { THREADS: "2", CPU_THREADS: "2", ORDER_TIMEOUT_MS: "250", COURIER_CAPACITY: "40" };

test(`a storm of 1000 mixed orders leaves nothing behind (seed ${STORM_SEED})`, async () => {
  await using running = await startService({ ...OVERLAY, CANCEL_GRACE_MS: "20000" }, ALL_THREADS);
  const { service } = running;
  await warmUp(service);
  const rest = await atRest(service);
  const peaks = new Peaks();
  const kinds = ["canceled", "ok", "timeout", ...Object.values(FAILURES)];
  const onMoment = (n: number) => n % 3 === 0 && peaks.note(count(service));
  const seen = await storm(service, { orders: 1_000, kinds, onMoment });
  expect(count(service)).toEqual(rest);
  peaks.expectAbove(rest);
  expect([...seen].sort()).toEqual(kinds.sort());
  expect(service.threads.statistics().replaced.size).toBe(0);
  expect(running.logged.filter(({ level }) => level >= 40)).toEqual([]);
});

test(`a storm in which threads are killed leaves nothing behind (seed ${STORM_SEED})`, async () => {
  await using running = await startService({ ...OVERLAY, CANCEL_GRACE_MS: "20000" }, ALL_THREADS);
  const { service } = running;
  await warmUp(service);
  const rest = await atRest(service);
  let kills = 0;
  await storm(service, {
    orders: 500,
    kinds: ["ok", "internal"],
    more: [{ what: "kills", atLeast: 6, seen: () => kills }],
    onMoment(n) {
      if (n % 50 === 25 && service.threads.killThread() !== undefined) kills++;
    },
  });
  // A compensation that was lost with its thread is tried again after a pause.
  await eventually("everything to be compensated", async () => service.compensator.inFlight === 0 && (await pendingRows(service)) === 0);
  expect(countersOf(count(service))).toEqual(countersOf(rest));
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
  await eventually("all orders to run", () => service.threads.statistics().running === runningSteps);
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
  expect(service.threads.statistics()).toMatchObject({ running: 0, started: runningSteps, finished: runningSteps });
  expect(count(service)).toMatchObject({ groups: 0, unsettled: 0, permits: 0, waiting: 0, watchedGroups: 0, threads: 0 });
  expect(timers()).toBe(before.timers);
  await eventually("the threads to be gone", () => osThreads() === before.osThreads);
  expect(logged.filter(({ level }) => level >= 40)).toEqual([]);
});
