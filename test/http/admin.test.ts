import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send, type ThreadsPage, threadsPage } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

// Far longer than any test waits.
const FOR_EVER_MS = 300_000;
const THREADS = { THREADS: "2", CPU_THREADS: "2" };
const ALL_THREADS = { exclusiveAtStart: true };

let server: TestService;
beforeAll(async () => {
  server = await startService({ ...THREADS, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) }, ALL_THREADS);
});
afterAll(() => server.stop());

const counters = (of = server) => threadsPage(of.adminPort);
const chaos = (fault: string, body?: unknown, of = server) => send(of.adminPort, { method: "POST", path: `/chaos/${fault}`, body });
const idsOf = (page: ThreadsPage) => page.threads.map(({ id }) => id);
const settled = (page: ThreadsPage) => page.running === 0 && page.started === page.finished && page.orders_in_flight === 0;
/** All threads up, none of them among `gone`, and nothing running. */
const recovered = (gone: readonly number[], replaced: number, of = server) =>
  eventually(
    "all threads up again and nothing running",
    () => counters(of),
    (page) => page.threads.length === 4 && page.replaced === replaced && settled(page) && !idsOf(page).some((id) => gone.includes(id)),
  );

async function nextOrderWorks(of = server): Promise<void> {
  const waiting = await postOrder(of.port, orderOf(newId("next"), 1));
  expect(waiting).toMatchObject({ status: 200, json: { status: "ok" } });
  const computing = await postOrder(of.port, { order_id: newId("next"), amount: 1, cpu_ms: perStep(() => 1) });
  expect(computing).toMatchObject({ status: 200, json: { status: "ok" } });
}

describe("GET /debug/threads", () => {
  test("has exactly the contract's shape", async () => {
    const { status, headers, json } = await send(server.adminPort, { path: "/debug/threads" });
    expect(status).toBe(200);
    expect(headers["content-type"]).toMatch(/^application\/json\b/);
    expect(Object.keys(json)).toEqual(["running", "started", "finished", "orders_in_flight", "replaced", "threads"]);
    for (const thread of json.threads) {
      expect(Object.keys(thread)).toEqual(["id", "pool", "running", "started", "finished", "heartbeat_age_ms"]);
      for (const [name, value] of Object.entries(thread)) {
        if (name !== "pool") expect(value).toSatisfy((count: number) => Number.isInteger(count) && count >= 0);
      }
    }
    expect(json.threads.map(({ pool }: { pool: string }) => pool).sort()).toEqual(["exclusive", "exclusive", "shared", "shared"]);
    expect(new Set(json.threads.map(({ id }: { id: number }) => id)).size).toBe(4);
  });

  test("counts steps on the threads that run them", async () => {
    const before = await counters();
    const hangUp = new AbortController();
    const order = {
      order_id: "counted",
      amount: 1,
      delay_ms: { ...perStep(() => FOR_EVER_MS), courier: 0 },
      cpu_ms: { courier: FOR_EVER_MS },
    };
    const answer = postOrder(server.port, order, { signal: hangUp.signal });
    const during = await eventually("the steps running", counters, ({ running }) => running === STEPS.length);
    expect(during).toMatchObject({ orders_in_flight: 1, started: before.started + STEPS.length, finished: before.finished });
    const runningIn = (pool: string) =>
      during.threads.filter((thread) => thread.pool === pool).reduce((sum, { running }) => sum + running, 0);
    expect({ shared: runningIn("shared"), exclusive: runningIn("exclusive") }).toEqual({ shared: STEPS.length - 1, exclusive: 1 });

    hangUp.abort();
    await expect(answer).rejects.toThrow();
    const after = await eventually("nothing running", counters, settled);
    expect(after).toMatchObject({
      started: before.started + STEPS.length,
      finished: before.finished + STEPS.length,
      replaced: 0,
    });
    expect(after.threads.reduce((sum, { started }) => sum + started, 0)).toBe(after.started);
  });

  test("takes GET and HEAD only", async () => {
    expect(await send(server.adminPort, { method: "HEAD", path: "/debug/threads" })).toMatchObject({ status: 200, text: "" });
    const answer = await send(server.adminPort, { method: "POST", path: "/debug/threads" });
    expect(answer).toMatchObject({ status: 405, json: { error: { kind: "method_not_allowed" } } });
    expect(answer.headers.allow).toBe("GET, HEAD");
  });
});

describe("POST /chaos/kill-thread", () => {
  test("ends a busy thread: its orders get a clear answer and the counters balance", async () => {
    await using fresh = await startService({ ...THREADS, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) }, ALL_THREADS);
    const orders = [1, 2, 3, 4].map((n) => postOrder(fresh.port, orderOf(`killed-${n}`, FOR_EVER_MS)));
    const during = await eventually(
      "all steps running",
      () => counters(fresh),
      ({ running }) => running === 4 * STEPS.length,
    );
    expect(during.orders_in_flight).toBe(4);

    const { status, json } = await chaos("kill-thread", undefined, fresh);
    expect({ status, json }).toEqual({ status: 200, json: { status: "ok", killed: expect.any(Number) } });
    expect(during.threads.find(({ id }) => id === json.killed)).toMatchObject({ pool: "shared", running: 2 * STEPS.length });

    for (const answer of await Promise.all(orders)) {
      expect(answer).toMatchObject({ status: 500, json: { status: "error", error: { kind: "internal", message: "order failed" } } });
      const steps: { status: string; detail: string }[] = answer.json.steps;
      const endings = steps.map((step) => `${step.status} ${step.detail}`);
      expect(endings).toContain("error internal");
      for (const ending of endings) expect(["error internal", "canceled sibling_failed"]).toContain(ending);
    }
    // All of them answered: this holds now, not some time later.
    const after = await counters(fresh);
    expect(after).toMatchObject({ running: 0, finished: after.started, orders_in_flight: 0, replaced: 1 });
    // Compensating what the lost steps may have done counts too.
    expect(after.started).toBeGreaterThanOrEqual(during.started);
    expect(fresh.service.capacities.courier.inUse).toBe(0);
    await recovered([json.killed], 1, fresh);
    await nextOrderWorks(fresh);
  });

  test("ends a computing thread, and the orders of others notice nothing", async () => {
    await using fresh = await startService({ ...THREADS, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) }, ALL_THREADS);
    // Two steps get a thread and the others wait, so that no thread of the other pool is ever the busiest.
    const cpu = perStep(() => FOR_EVER_MS);
    const computing = postOrder(fresh.port, { order_id: "computes", amount: 1, cpu_ms: cpu });
    await eventually(
      "two steps computing",
      () => counters(fresh),
      ({ running }) => running === 2,
    );
    const { json } = await chaos("kill-thread", undefined, fresh);
    const waiting = postOrder(fresh.port, orderOf("waits", 300));
    expect(await computing).toMatchObject({ status: 500, json: { error: { kind: "internal" } } });
    expect(await waiting).toMatchObject({ status: 200 });
    const page = await recovered([json.killed], 1, fresh);
    expect(page.threads.filter(({ pool }) => pool === "exclusive")).toHaveLength(2);
    await nextOrderWorks(fresh);
  });

  test("ends an idle thread where none is busy, again and again", async () => {
    await using fresh = await startService(THREADS, ALL_THREADS);
    await nextOrderWorks(fresh);
    for (const replaced of [1, 2, 3]) {
      const before = await counters(fresh);
      const { status, json } = await chaos("kill-thread", undefined, fresh);
      expect(status).toBe(200);
      expect(idsOf(before)).toContain(json.killed);
      expect(await recovered([json.killed], replaced, fresh)).toMatchObject({ started: before.started, finished: before.finished });
    }
    await nextOrderWorks(fresh);
    expect(fresh.logged.filter(({ level }) => level >= 40)).toMatchObject(Array(3).fill({ msg: "thread replaced", reason: "killed" }));
  });
});

describe("POST /chaos/stick-thread", () => {
  test.each([
    ["of the given time", { ms: 60_000 }, 60_000],
    ["of the default, with an empty object", {}, 5_000],
    ["of the default, with no body", undefined, 5_000],
  ])("%s is replaced after the grace, and orders notice nothing", async (_what, body, stuckMs) => {
    await using fresh = await startService(THREADS, ALL_THREADS);
    const before = await counters(fresh);
    const order = postOrder(fresh.port, orderOf("meanwhile", 600));
    const { status, json } = await chaos("stick-thread", body, fresh);
    expect({ status, json }).toEqual({ status: 200, json: { status: "ok", stuck_ms: stuckMs } });
    expect(await order).toMatchObject({ status: 200, json: { status: "ok" } });
    const page = await recovered([], 1, fresh);
    const gone = before.threads.filter(({ id }) => !idsOf(page).includes(id));
    expect(gone).toMatchObject([{ pool: "exclusive" }]);
    // The steps of the order, and the one that stuck.
    const ran = STEPS.length + 1;
    expect(page).toMatchObject({ started: before.started + ran, finished: before.finished + ran });
    await nextOrderWorks(fresh);
    expect(fresh.logged.filter(({ level }) => level >= 40)).toMatchObject([{ msg: "thread replaced", reason: "grace" }]);
    expect(fresh.service.threads.counters()).toEqual({
      groups: 0,
      unsettled: 0,
      exclusivePermits: 0,
      exclusiveWaiting: 0,
      watchedGroups: 0,
    });
  });

  test("twice at one time sticks two threads", async () => {
    await using fresh = await startService(THREADS, ALL_THREADS);
    const answers = await Promise.all([chaos("stick-thread", { ms: 60_000 }, fresh), chaos("stick-thread", { ms: 60_000 }, fresh)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const page = await recovered([], 2, fresh);
    expect(page.started).toBe(2);
    await nextOrderWorks(fresh);
  });

  test.each([
    ["ms", '{"ms":0}'],
    ["ms", '{"ms":-1}'],
    ["ms", '{"ms":1.5}'],
    ["ms", '{"ms":600001}'],
    ["ms", '{"ms":1e400}'],
    ["ms", '{"ms":"5"}'],
    ["ms", '{"ms":null}'],
    ["seconds", '{"seconds":5}'],
    ["body", "[]"],
    ["body", "null"],
    ["body", "5"],
    ["body", "{"],
    ["body", "ms=5"],
  ])("names %s in its refusal of %s, and sticks nothing", async (field, body) => {
    const before = await counters();
    const { status, json } = await chaos("stick-thread", body);
    expect({ status, json }).toEqual({
      status: 400,
      json: { status: "error", error: { kind: "bad_request", message: expect.stringMatching(new RegExp(`^${field}: .*\\w`)) } },
    });
    expect(await counters()).toMatchObject({ started: before.started, replaced: before.replaced });
  });

  test("takes no large body, and names the limit it has", async () => {
    const answer = await chaos("stick-thread", '{"ms":5}'.padEnd(1025));
    expect(answer).toMatchObject({ status: 413, json: { error: { kind: "payload_too_large" } } });
    expect(answer.json.error.message).not.toContain("16 KiB");
  });
});

describe("the chaos routes", () => {
  const routes = ["/chaos/kill-thread", "/chaos/stick-thread", "/chaos/crash"];

  test.each(routes)("%s takes POST only", async (path) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await send(server.adminPort, { method, path });
      expect(answer).toMatchObject({ status: 405, json: { error: { kind: "method_not_allowed" } } });
      expect(answer.headers.allow).toBe("POST");
    }
  });

  test.each([...routes, "/debug/threads"])("%s is not on the public listener", async (path) => {
    const before = await counters();
    for (const method of ["POST", "GET"]) {
      expect(await send(server.port, { method, path, body: "{}" })).toMatchObject({ status: 404, json: { error: { kind: "not_found" } } });
    }
    expect(await counters()).toMatchObject({ replaced: before.replaced, started: before.started });
  });

  test("an order is not taken on the admin listener", async () => {
    expect(await postOrder(server.adminPort, orderOf("misled", 0))).toMatchObject({ status: 404, json: { error: { kind: "not_found" } } });
  });
});
