import { expect, test } from "vitest";
import { randomFrom } from "../../../load/stand-in/random.ts";
import { OrderSample } from "../../../src/admin/live/order-sample.ts";
import type { EndedOrder } from "../../../src/orders/ended-order.ts";
import { STEPS } from "../../../src/orders/steps.ts";

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
