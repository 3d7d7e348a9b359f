import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { perStep, STEPS } from "../../../src/orders/steps.ts";
import { monotonicMs } from "../../../src/threads/index.ts";
import { temporaryFile } from "../../journal/temporary-file.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { startService, type TestService } from "../../support/service.ts";
import { watch } from "./watching.ts";

let server: TestService;
beforeAll(async () => {
  server = await startService({ JOURNAL: temporaryFile(), THREADS: "2", CPU_THREADS: "1", ORDER_TIMEOUT_MS: "60000" });
});
afterAll(() => server.stop());

const demo = (body: unknown, of = server) => send(of.adminPort, { method: "POST", path: "/chaos/orders", body });
const sumOf = (counts: Readonly<Partial<Record<string, number>>>) =>
  Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0);

describe("GET /events", () => {
  test("begins with who speaks, and when to come again", async () => {
    using watching = await watch(server.adminPort);
    expect(watching.hello).toMatchObject({
      pid: process.pid,
      simulated: true,
      steps: STEPS,
      limits: { payment: 1000, vendor: 1000, courier: 5 },
      every_ms: 250,
    });
    expect(Math.abs(watching.hello.now_since_1970_ms - Date.now())).toBeLessThan(60_000);
    expect(watching.retryMs).toBe(500);
  });

  test("counts who was refused, by kind, of clients and of the demo", async () => {
    await using small = await startService({ THREADS: "1", CPU_THREADS: "1", MAX_IN_FLIGHT: "1" });
    using watching = await watch(small.adminPort);
    const order = { order_id: newId("refused"), amount: 1, delay_ms: perStep(() => 0) };
    await postOrder(small.port, order);
    expect((await postOrder(small.port, { ...order, amount: 2 })).status).toBe(409);
    expect((await demo({ count: 5, order: { delay_ms: { vendor: 100 } } }, small)).json.ended).toEqual({ ok: 1, overloaded: 4 });
    const refused = (kind: "order_conflict" | "overloaded") => watching.ticks.reduce((sum, tick) => sum + (tick.refused[kind] ?? 0), 0);
    await eventually("all of them", () => refused("order_conflict") > 0 && refused("overloaded") > 3);
    expect([refused("order_conflict"), refused("overloaded")]).toEqual([1, 4]);
  });

  test("reports how an order ended, step by step", async () => {
    using watching = await watch(server.adminPort);
    const id = newId("reported");
    await postOrder(server.port, { order_id: id, amount: 1, fail_step: "vendor", delay_ms: { payment: 1, vendor: 40, courier: 5_000 } });
    const tick = await eventually("its tick", () => watching.ticks.find(({ orders }) => orders.some((one) => one.id === id)));
    const order = tick?.orders.find((one) => one.id === id);
    const [payment, vendor, courier] = order?.steps ?? [];
    expect(order).toMatchObject({ attempt: 1, kind: "vendor_unavailable", canceled: ["sibling_failed", vendor?.[3]] });
    expect(tick?.ended).toEqual({ vendor_unavailable: 1 });
    const ids = tick?.threads.map(([thread]) => thread);
    expect([payment?.[0], payment?.[4]]).toEqual(["ok", "done"]);
    expect([vendor?.[0], vendor?.[4]]).toEqual(["failed", null]);
    expect([courier?.[0], courier?.[4]]).toEqual(["canceled", null]);
    for (const [, thread, started, ended] of order?.steps ?? []) {
      expect(ids).toContain(thread);
      expect(started).toBeGreaterThanOrEqual(order?.started ?? 0);
      expect(ended).toBeGreaterThanOrEqual(started ?? 0);
      expect(ended).toBeLessThanOrEqual(order?.stored ?? 0);
    }
    expect(courier?.[3]).toBeGreaterThanOrEqual(vendor?.[3] ?? 0);
    expect(tick?.cancel_ms?.p50).toBeGreaterThanOrEqual(0);
  });

  test("counts every order of a storm, and shows no more of them than a page can draw", async () => {
    using watching = await watch(server.adminPort);
    const count = 1_500;
    const order = { fail_step: "payment", delay_ms: perStep(() => 0) };
    expect((await demo({ count, at_once: 50, order })).json).toMatchObject({ status: "ok", orders: count });
    await eventually("all of them", () => watching.ticks.reduce((sum, { ended }) => sum + sumOf(ended), 0) >= count);
    for (const { ended, orders, left } of watching.ticks) {
      expect(orders.length).toBeLessThanOrEqual(40);
      expect(orders.length + left).toBe(sumOf(ended));
    }
    expect(watching.ticks.reduce((sum, { ended }) => sum + sumOf(ended), 0)).toBe(count);
    expect(watching.ticks.reduce((sum, { commits }) => sum + commits.requests, 0)).toBeGreaterThanOrEqual(2 * count);
  });

  test("reports a step that runs for long while it does, and how its order ended", async () => {
    using watching = await watch(server.adminPort);
    const id = newId("long");
    const beganMs = monotonicMs();
    const client = new AbortController();
    const body = { order_id: id, amount: 1, delay_ms: { payment: 60_000, vendor: 60_000, courier: 0 } };
    const left = send(server.port, { method: "POST", path: "/order", body, signal: client.signal }).catch(() => {});
    const reported = () =>
      watching.ticks.flatMap(({ now, long_steps }) => long_steps.filter(([one]) => one === id).map((step) => ({ now, step })));
    await eventually("both, twice", () => reported().length >= 4);
    client.abort();
    await left;
    const tick = await eventually("its end", () => watching.ticks.find(({ orders }) => orders.some((one) => one.id === id)));
    const order = tick?.orders.find((one) => one.id === id);
    expect(order?.kind).toBe("canceled");
    for (const { now, step } of reported()) {
      const [, attempt, index, thread, since] = step;
      const [, itsThread] = order?.steps[index] ?? [];
      expect([attempt, thread]).toEqual([1, itsThread]);
      expect([0, 1]).toContain(index);
      // Rounded to a millisecond. A busy thread begins a step later than this, which is about when the step was sent to it.
      expect(since).toBeGreaterThanOrEqual(beganMs - 1);
      expect(now - since).toBeGreaterThanOrEqual(299);
    }
    const after = watching.ticks.length;
    await eventually("later ticks", () => watching.ticks.length > after + 1);
    expect(watching.ticks.at(-1)?.long_steps).toEqual([]);
  });

  test("names a thread that was replaced", async () => {
    using watching = await watch(server.adminPort);
    const { killed } = (await send(server.adminPort, { method: "POST", path: "/chaos/kill-thread" })).json;
    const tick = await eventually("the replacement", () => watching.ticks.find(({ replaced }) => replaced.length > 0));
    expect(tick?.replaced).toEqual([{ id: killed, pool: expect.any(String), reason: "killed", at: expect.any(Number) }]);
    expect(tick?.replaced_total).toBe(1);
  });

  test("has room for a hundred, says so to the next, and again once one is gone", async () => {
    await using fresh = await startService({ THREADS: "1", CPU_THREADS: "1" });
    const all = await Promise.all(Array.from({ length: 100 }, () => watch(fresh.adminPort)));
    try {
      const { status, headers, json } = await send(fresh.adminPort, { path: "/events" });
      expect([status, json.error.kind]).toEqual([503, "overloaded"]);
      expect(headers["retry-after"]).toMatch(/^\d+$/);
      all.pop()?.[Symbol.dispose]();
      const late = await eventually("room for one more", () => watch(fresh.adminPort).catch(() => undefined));
      late?.[Symbol.dispose]();
    } finally {
      for (const one of all) one[Symbol.dispose]();
    }
  });

  test("ends with the service, which waits for no reader", async () => {
    const fresh = await startService({ THREADS: "1", CPU_THREADS: "1" });
    using watching = await watch(fresh.adminPort);
    await fresh.stop();
    await eventually("the end", () => watching.ended !== undefined);
    expect(watching.ended).toBe("whole");
  });

  test("takes GET only, and is not on the public listener", async () => {
    for (const method of ["POST", "HEAD"]) expect((await send(server.adminPort, { method, path: "/events" })).status).toBe(405);
    expect((await send(server.port, { path: "/events" })).status).toBe(404);
  });
});

describe("POST /chaos/orders", () => {
  test("places orders as clients would, and says what became of them", async () => {
    const order = { delay_ms: perStep(() => 1) };
    const { status, json } = await demo({ count: 12, at_once: 3, order });
    const told = { status: "ok", first_order_id: expect.any(String), orders: 12, ended: { ok: 12 }, placed_again: 0 };
    expect([status, json]).toEqual([200, told]);
    expect((await send(server.port, { path: `/order/${json.first_order_id}` })).json).toMatchObject({ status: "ok", amount: 1000 });
  });

  test("comes again after a refusal where so many share the orders", async () => {
    await using small = await startService({ THREADS: "1", CPU_THREADS: "1", MAX_IN_FLIGHT: "2" });
    const order = { delay_ms: perStep(() => 1) };
    expect((await demo({ count: 12, order }, small)).json).toMatchObject({ ended: { overloaded: 10 }, placed_again: 0 });
    const { ended, placed_again } = (await demo({ count: 12, at_once: 6, order }, small)).json;
    expect(ended).toEqual({ ok: 12 });
    // Of the first six, two are taken.
    expect(placed_again).toBeGreaterThanOrEqual(4);
  });

  test("hangs up for a client that does not wait", async () => {
    const { json } = await demo({ order: { delay_ms: { vendor: 60_000 } }, hang_up_ms: 30 });
    expect(json.ended).toEqual({ canceled: 1 });
  });

  test("names the field in its refusal, and places nothing", async () => {
    using watching = await watch(server.adminPort);
    for (const [field, body] of [
      ["count", { count: 0 }],
      ["count", { count: 5_001 }],
      ["count", { count: "2" }],
      ["at_once", { at_once: 0 }],
      ["hang_up_ms", { hang_up_ms: -1 }],
      ["order", { order: [] }],
      ["fail_step", { order: { fail_step: "banana" } }],
      ["delay_ms", { order: { delay_ms: { vendor: -1 } } }],
      ["color", { color: "red" }],
    ] as const) {
      const { status, json } = await demo(body);
      expect([body, status, json.error.kind]).toEqual([body, 400, "bad_request"]);
      expect(json.error.message).toMatch(new RegExp(`^${field}\\b.*: `));
    }
    const before = watching.ticks.length;
    await eventually("a tick since", () => watching.ticks.length > before);
    for (const tick of watching.ticks) expect(tick).toMatchObject({ ended: {}, in_flight: 0 });
  });

  test("does not exist where a provider is real", async () => {
    await using real = await startService({ THREADS: "1", CPU_THREADS: "1", PAYMENT_URL: "http://127.0.0.1:1" });
    expect((await demo({}, real)).status).toBe(404);
    using watching = await watch(real.adminPort);
    expect(watching.hello.simulated).toBe(false);
  });
});

describe("GET /orders/{order_id}", () => {
  test("says what the public listener says", async () => {
    const id = newId("a/b c?d %");
    const failing = { order_id: id, amount: 7, fail_step: "payment", delay_ms: perStep(() => 0) };
    await postOrder(server.port, failing);
    await postOrder(server.port, failing);
    const path = encodeURIComponent(id);
    for (const query of ["", "?before=2"]) {
      const mine = await send(server.adminPort, { path: `/orders/${path}${query}` });
      expect(mine.status).toBe(200);
      const { operator_actions: actions, ...view } = mine.json;
      expect(view).toEqual((await send(server.port, { path: `/order/${path}${query}` })).json);
      expect(actions).toEqual([]);
      expect(mine.json.attempts).toHaveLength(query === "" ? 2 : 1);
    }
  });

  test.each([
    ["/orders/never-seen", 404],
    [`/orders/${"x".repeat(129)}`, 404],
    ["/orders/%0A", 404],
    ["/orders/a?before=0", 400],
    ["/orders/a?after=1", 400],
  ])("%s gets %i", async (path, status) => {
    expect((await send(server.adminPort, { path })).status).toBe(status);
  });

  test("takes GET and HEAD only", async () => {
    expect((await send(server.adminPort, { method: "POST", path: "/orders/a" })).headers.allow).toBe("GET, HEAD");
  });
});
