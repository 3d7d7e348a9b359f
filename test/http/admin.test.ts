import { Agent } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StuckThreads } from "../../src/admin/chaos-routes.ts";
import type { StepRunner } from "../../src/orders/step-runner.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send, type ThreadsPage, threadsPage } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

// Far longer than any test waits.
const FOR_EVER_MS = 300_000;

let server: TestService;
beforeAll(async () => {
  server = await startService({ THREADS: "2", CPU_THREADS: "2", ORDER_TIMEOUT_MS: String(FOR_EVER_MS) }, { exclusiveAtStart: true });
});
afterAll(() => server.stop());

const counters = () => threadsPage(server.adminPort);
const chaos = (fault: string, body?: unknown) => send(server.adminPort, { method: "POST", path: `/chaos/${fault}`, body });
/** Why threads were replaced, as the log has it. */
const reasons = () => server.logged.filter(({ msg }) => msg === "thread replaced").map(({ reason }) => reason);
const idsOf = (page: ThreadsPage) => page.threads.map(({ id }) => id);
const settled = (page: ThreadsPage) => page.running === 0 && page.started === page.finished && page.orders_in_flight === 0;
/** All threads up, none of them among `gone`, so many replaced since `before`, nothing running, and the next orders work. */
async function recovered(before: ThreadsPage, gone: readonly number[], replaced: number): Promise<ThreadsPage> {
  const page = await eventually("all threads up again and nothing running", counters, (page) => {
    const areNew = !idsOf(page).some((id) => gone.includes(id));
    return page.threads.length === 4 && page.replaced === before.replaced + replaced && settled(page) && areNew;
  });
  expect(server.service.threads.counters()).toEqual({
    groups: 0,
    unsettled: 0,
    exclusivePermits: 0,
    exclusiveWaiting: 0,
    watchedGroups: 0,
  });
  for (const order of [orderOf(newId("next"), 1), { order_id: newId("next"), amount: 1, cpu_ms: perStep(() => 1) }]) {
    expect(await postOrder(server.port, order)).toMatchObject({ status: 200, json: { status: "ok" } });
  }
  return page;
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
      replaced: before.replaced,
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
    const before = await counters();
    const orders = [1, 2, 3, 4].map((n) => postOrder(server.port, orderOf(`killed-${n}`, FOR_EVER_MS)));
    const during = await eventually("all steps running", counters, ({ running }) => running === 4 * STEPS.length);
    expect(during.orders_in_flight).toBe(4);

    const { status, json } = await chaos("kill-thread");
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
    const after = await counters();
    expect(after).toMatchObject({ running: 0, finished: after.started, orders_in_flight: 0, replaced: before.replaced + 1 });
    // Compensating what the lost steps may have done counts too.
    expect(after.started).toBeGreaterThanOrEqual(during.started);
    expect(server.service.capacities.courier.inUse).toBe(0);
    await recovered(before, [json.killed], 1);
  });

  test("ends a computing thread, and the orders of others notice nothing", async () => {
    const before = await counters();
    // Two steps get a thread and the others wait, so that no thread of the other pool is ever the busiest.
    const cpu = perStep(() => FOR_EVER_MS);
    const computing = postOrder(server.port, { order_id: "computes", amount: 1, cpu_ms: cpu });
    await eventually("two steps computing", counters, ({ running }) => running === 2);
    const { json } = await chaos("kill-thread");
    const waiting = postOrder(server.port, orderOf("waits", 300));
    expect(await computing).toMatchObject({ status: 500, json: { error: { kind: "internal" } } });
    expect(await waiting).toMatchObject({ status: 200 });
    const page = await recovered(before, [json.killed], 1);
    expect(page.threads.filter(({ pool }) => pool === "exclusive")).toHaveLength(2);
  });

  test("ends an idle thread where none is busy, again and again", async () => {
    for (let times = 0; times < 3; times++) {
      const before = await counters();
      const { status, json } = await chaos("kill-thread");
      expect(status).toBe(200);
      expect(idsOf(before)).toContain(json.killed);
      expect(await recovered(before, [json.killed], 1)).toMatchObject({ started: before.started, finished: before.finished });
    }
    expect(new Set(reasons())).toEqual(new Set(["killed"]));
  });
});

describe("POST /chaos/stick-thread", () => {
  test.each([
    ["of the given time", { ms: 60_000 }, 60_000],
    ["of the default, with an empty object", {}, 5_000],
    ["of the default, with no body", undefined, 5_000],
  ])("%s is replaced after the grace, and orders notice nothing", async (_what, body, stuckMs) => {
    const before = await counters();
    const order = postOrder(server.port, orderOf(newId("meanwhile"), 600));
    const { status, json } = await chaos("stick-thread", body);
    expect({ status, json }).toEqual({ status: 200, json: { status: "ok", stuck_ms: stuckMs } });
    expect(await order).toMatchObject({ status: 200, json: { status: "ok" } });
    const page = await recovered(before, [], 1);
    const gone = before.threads.filter(({ id }) => !idsOf(page).includes(id));
    expect(gone).toMatchObject([{ pool: "exclusive" }]);
    // The steps of the order, and the one that stuck.
    const ran = STEPS.length + 1;
    expect(page).toMatchObject({ started: before.started + ran, finished: before.finished + ran });
    expect(reasons().at(-1)).toBe("grace");
  });

  test("twice at one time sticks two threads", async () => {
    const before = await counters();
    const answers = await Promise.all([chaos("stick-thread", { ms: 60_000 }), chaos("stick-thread", { ms: 60_000 })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect((await recovered(before, [], 2)).started).toBe(before.started + 2);
  });

  test.each([
    ...["0", "-1", "1.5", "600001", "1e400", '"5"', "null"].map((ms) => ["ms", `{"ms":${ms}}`]),
    ["seconds", '{"seconds":5}'],
    ...["[]", "null", "5", "{", "ms=5"].map((body) => ["body", body]),
  ] as [string, string][])("names %s in its refusal of %s, and sticks nothing", async (field, body) => {
    const before = await counters();
    const { status, json } = await chaos("stick-thread", body);
    expect({ status, json }).toEqual({
      status: 400,
      json: { status: "error", error: { kind: "bad_request", message: expect.stringMatching(new RegExp(`^${field}: .*\\w`)) } },
    });
    expect(await counters()).toMatchObject({ started: before.started, replaced: before.replaced });
  });

  test("takes no large body, and names the limit it has", async () => {
    const answer = await chaos("stick-thread", '{"ms":5}'.padEnd(16 * 1024 + 1));
    expect(answer).toMatchObject({ status: 413, json: { error: { kind: "payload_too_large" } } });
    expect(answer.json.error.message).toContain("16384 bytes");
  });

  test("a thread that cannot be stuck now does not spoil later tries", async () => {
    let full = true;
    const begun = new SharedArrayBuffer(4);
    const runner: StepRunner = {
      open() {
        if (full) throw new Error("the board is full");
        return {
          cause: undefined,
          async run() {
            Atomics.add(new Int32Array(begun), 0, 1);
            Atomics.notify(new Int32Array(begun), 0);
            return { outcome: { status: "canceled", cause: "shutdown", effect: "none" }, endedAtMs: 0 };
          },
          close() {},
        };
      },
    };
    const sticking = new StuckThreads(runner, begun);
    await expect(sticking.stick(5)).rejects.toThrow("the board is full");
    full = false;
    expect(await sticking.stick(5)).toBe(true);
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

test("while the service ends, each answer of the admin listener ends its connection", async () => {
  await using ending = await startService();
  const now = new AbortController();
  now.abort();
  await ending.service.adminListener.endConnections(now.signal);
  const agent = new Agent({ keepAlive: true });
  for (const path of ["/", "/metrics", "/readyz", "/orders", "/nowhere"]) {
    expect((await send(ending.adminPort, { path, agent })).headers, path).toMatchObject({ connection: "close" });
  }
});
