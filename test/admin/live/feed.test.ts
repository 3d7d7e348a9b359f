import "../../leaks/timers.ts";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Response } from "express";
import { expect, test } from "vitest";
import { randomFrom } from "../../../load/stand-in/random.ts";
import { EventStream } from "../../../src/admin/live/event-stream.ts";
import { LiveEvents } from "../../../src/admin/live/live-events.ts";
import { LiveFeed } from "../../../src/admin/live/live-feed.ts";
import { OrderSample } from "../../../src/admin/live/order-sample.ts";
import type { EndedOrder } from "../../../src/orders/ended-order.ts";
import { perStep, STEPS } from "../../../src/orders/steps.ts";
import { timers } from "../../leaks/timers.ts";
import { eventually } from "../../support/eventually.ts";
import { watch } from "./watching.ts";

/** A server that gives every response to `open`. */
async function serving(open: (response: Response) => void) {
  const server = createServer((_request, plain) => {
    const response = plain as Response;
    response.locals = { requestId: "r" };
    open(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("while nobody looks there is no timer and nothing is read; the last one who leaves ends both", async () => {
  let asked = 0;
  const capacity = { limit: 1, inUse: 0, waiting: 0 };
  const count = () => {
    asked++;
    return { running: 0, started: 0, finished: 0, threads: [], replaced: new Map() };
  };
  const events = new LiveEvents();
  const feed = new LiveFeed(events, {
    threads: { statistics: count },
    orderService: { inFlight: 0 },
    longSteps: { mark: () => {}, sample: () => [], forget: () => {} },
    capacities: perStep(() => capacity),
    circuitState: () => "closed",
    backlog: () => Promise.reject(new Error("not now")),
    simulated: true,
    onFault: () => {},
  });
  await using server = await serving((response) => feed.open(response));
  const before = timers();
  const add = () => events.orderEnded(ended("a", 1));
  add();
  expect([timers(), asked, feed.pages]).toEqual([before, 0, 0]);

  const [one, two] = [await watch(server.port), await watch(server.port)];
  expect(feed.pages).toBe(2);
  // One of the feed; those of the connections are Node's own and not counted here.
  expect(timers()).toBe(before + 1);
  add();
  const tick = await eventually("an order", () => one.ticks.find(({ orders }) => orders.length > 0));
  expect(tick?.ended).toEqual({ ok: 1 });
  expect(tick?.backlog).toBeNull();
  await eventually("the same for both", () => two.ticks.some(({ orders }) => orders.length > 0));

  one[Symbol.dispose]();
  await eventually("one left", () => feed.pages === 1);
  const seen = asked;
  await eventually("ticks for the other", () => asked > seen);
  two[Symbol.dispose]();
  await eventually("nobody", () => feed.pages === 0);
  expect(timers()).toBe(before);
  const last = asked;
  await pause(600);
  expect(asked).toBe(last);
});

test("a page that does not read holds no more than its socket does, others miss nothing, and in the end it is dropped", async () => {
  const watched: boolean[] = [];
  const stream = new EventStream((isWatched) => watched.push(isWatched));
  const responses: Response[] = [];
  await using server = await serving((response) => {
    responses.push(response);
    stream.add(response, "hello", {});
  });
  const stalled = connect(server.port, "127.0.0.1");
  stalled.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  stalled.pause();
  await eventually("the stalled one", () => stream.pages === 1);
  using reader = await watch(server.port);
  expect([stream.pages, watched]).toEqual([2, [true]]);

  const gone = new Promise<void>((resolve) => stalled.once("close", () => resolve()));
  stalled.on("error", () => {});
  const text = "x".repeat(256 * 1024);
  let sent = 0;
  const heldBytes: number[] = [];
  while (stream.pages === 2) {
    stream.send("tick", { n: sent++, text });
    await eventually("the reader has it", () => reader.ticks.length === sent);
    heldBytes.push(responses[0]?.writableLength ?? 0);
    if (sent > 2_000) throw new Error("the stalled one is never dropped");
  }
  // More than what the kernel takes was offered to it, and it was given time.
  expect(sent).toBeGreaterThan(120);
  expect(Math.max(...heldBytes)).toBeGreaterThan(0);
  expect(Math.max(...heldBytes)).toBeLessThan(2 * text.length);
  expect(reader.ticks.map((tick) => (tick as unknown as { n: number }).n)).toEqual(Array.from({ length: sent }, (_, n) => n));
  stalled.resume();
  await gone;

  stream.close();
  await eventually("the end", () => reader.ended !== undefined);
  expect(reader.ended).toBe("whole");
  await eventually("nobody", () => stream.pages === 0);
  expect(watched).toEqual([true, false]);
});

const SEED = "order-sample 1";

function ended(orderId: string, storedAtMs: number, error?: "payment_declined"): EndedOrder {
  const steps = STEPS.map((name) => ({
    name,
    outcome: { status: "ok" } as const,
    durationMs: 1,
    startedAtMs: 0,
    endedAtMs: 1,
    threadId: 1,
  }));
  const outcome = { steps, startedAtMs: 0, ...(error !== undefined && { error }) };
  const request = { requestId: undefined, parentSpanId: undefined, receivedAtMs: 0 };
  return { input: { orderId, amount: 1, attempt: 1 }, ...request, outcome, compensations: [], storedAtMs };
}

test("few orders are all shown, in the order of their ends", () => {
  const sample = new OrderSample();
  sample.add(ended("b", 2));
  sample.add(ended("c", 3, "payment_declined"));
  sample.add(ended("a", 1));
  const { orders, left, ended: counts, order_ms, cancel_ms } = sample.take();
  expect(orders.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  expect({ left, counts, order_ms, cancel_ms }).toEqual({
    left: 0,
    counts: { ok: 2, payment_declined: 1 },
    order_ms: { p50: 2, p99: 3 },
    cancel_ms: null,
  });
  expect(sample.take()).toEqual({ ended: {}, orders: [], left: 0, order_ms: null, cancel_ms: null });
});

test(`of many, some of each outcome are shown, from all over the time (${SEED})`, () => {
  const sample = new OrderSample(randomFrom(SEED));
  const inTenths = Array<number>(10).fill(0);
  for (let round = 0; round < 50; round++) {
    for (let n = 0; n < 4_000; n++) sample.add(ended(String(n), n));
    for (let n = 0; n < 30; n++) sample.add(ended(`failed-${n}`, 4_000 + n, "payment_declined"));
    const { orders, left, ended: counts } = sample.take();
    expect(counts).toEqual({ ok: 4_000, payment_declined: 30 });
    expect([orders.length, left]).toEqual([40, 3_990]);
    expect(orders.filter(({ kind }) => kind !== "ok")).toHaveLength(20);
    for (const { id, kind } of orders)
      if (kind === "ok") inTenths[Math.floor(Number(id) / 400)] = (inTenths[Math.floor(Number(id) / 400)] ?? 0) + 1;
  }
  // A hundred are to be expected in each, give or take ten.
  for (const count of inTenths) {
    expect(count).toBeGreaterThan(60);
    expect(count).toBeLessThan(140);
  }
});

test("an order that is expected is shown whatever else ends, once", () => {
  const sample = new OrderSample();
  sample.expect("awaited");
  for (let n = 0; n < 4_000; n++) sample.add(ended(String(n), n, n % 2 === 0 ? "payment_declined" : undefined));
  sample.add(ended("awaited", 5_000));
  const { orders, left, ended: counts } = sample.take();
  expect([orders.length, orders.at(-1)?.id, left, counts.ok]).toEqual([41, "awaited", 3_960, 2_001]);
  // Nothing of it is left.
  for (let n = 0; n < 400; n++) sample.add(ended("awaited", n));
  expect(sample.take().orders).toHaveLength(20);
});

test("no more orders are expected than there is room for, the latest ones", () => {
  const sample = new OrderSample();
  for (let n = 0; n < 1_000; n++) sample.expect(String(n));
  for (let n = 0; n < 1_000; n++) sample.add(ended(String(n), n));
  const { orders } = sample.take();
  expect(orders).toHaveLength(276);
  expect(orders.filter(({ id }) => Number(id) >= 744)).toHaveLength(256);
});
