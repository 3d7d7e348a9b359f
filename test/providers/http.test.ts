import { describe, expect, test } from "vitest";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { calls, gone, logs, NOT_COMPENSATED, newOrder, rawServer, setFaultMode, standIn, threads, unreachable } from "./http-fixture.ts";
import { runStep, startThreads } from "./threads.ts";

describe("calls", () => {
  test.each([
    ["payment", "perform", "/payments", { amount: 4200 }],
    ["payment", "compensate", "/refunds", { amount: 4200, undoes: true }],
    ["vendor", "perform", "/shop/v1/orders", { amount: 4200 }],
    ["vendor", "compensate", "/shop/v1/cancellations", { undoes: true }],
    ["courier", "perform", "/a/b/assignments", {}],
    ["courier", "compensate", "/a/b/releases", { undoes: true }],
  ] as const)(
    "%s %s goes to %s with the contract's body and headers",
    async (step, action, path, { undoes, ...body }: Record<string, unknown>) => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const order = newOrder({ attempt: 7, traceparent });
      expect(await runStep(threads, step, action, order)).toEqual({ status: "ok" });
      const key = `${order.orderId}:7:${step}`;
      expect(calls).toHaveLength(1);
      expect(calls[0]).toMatchObject({ path, key: action === "perform" ? key : `${key}:undo` });
      expect(calls[0]?.body).toEqual({ order_id: order.orderId, ...body, ...(undoes === true ? { undoes: key } : {}) });
      expect(calls[0]?.headers).toMatchObject({ "content-type": "application/json", traceparent });
    },
  );

  test("of ids that look alike have keys of their own, and each is charged", async () => {
    const ids = ["é", "%C3%A9", "e\u0301", "a b", "a%20b", "a+b", "a:1:payment", "a", "\ud800", "\udbff", "\ufffd", "\0"];
    for (const orderId of ids) {
      expect(await runStep(threads, "payment", "perform", newOrder({ orderId })), orderId).toEqual({ status: "ok" });
    }
    const keys = calls.map(({ key }) => key);
    expect(new Set(keys).size).toBe(ids.length);
    for (const key of keys) expect(standIn.ledger.find("payment", key)?.acted).toHaveLength(1);
    expect(calls.map(({ body }) => body.order_id)).toEqual(ids);
  });

  test("carry the largest amount exactly", async () => {
    await runStep(threads, "payment", "perform", newOrder({ amount: Number.MAX_SAFE_INTEGER }));
    expect(calls[0]?.body.amount).toBe(9007199254740991);
  });
});

// Every status that the table of the contract tells apart, and their neighbours.
const OK = "ok";
/** After these surely nothing happened. */
const DEFINITE = [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429];
/** These say that the provider itself cannot work now. To a courier service 503 means that it has no courier. */
const UNAVAILABLE = [408, 429, 500, 502, 503, 504, 599];
const saysUnavailable = (step: StepName, status: number) =>
  UNAVAILABLE.includes(status) && (step !== "courier" || status !== 503) ? { unavailable: {} } : {};
const ANSWERS: Partial<Record<StepName, ReadonlyArray<[statuses: readonly number[], kind: string, effect?: "none" | "unknown"]>>> = {
  payment: [
    [[200, 201, 202, 204, 299], OK],
    [[402], "payment_declined", "none"],
    [DEFINITE.filter((status) => status !== 402), "internal", "none"],
    [[300, 301, 302, 303, 307, 308, 399], "payment_unavailable", "unknown"],
    [[406, 408, 409, 421, 423, 425, 499], "payment_unavailable", "unknown"],
    [[500, 502, 503, 504, 599], "payment_unavailable", "unknown"],
  ],
  vendor: [
    [[200, 201, 204], OK],
    [DEFINITE, "vendor_unavailable", "none"],
    [[301, 303, 307, 408, 409, 425, 500, 502, 503, 504], "vendor_unavailable", "unknown"],
  ],
  courier: [
    [[200, 201, 204], OK],
    [[404], "no_courier", "none"],
    [DEFINITE.filter((status) => status !== 404), "internal", "none"],
    [[409, 503], "no_courier", "unknown"],
    [[301, 303, 307, 408, 425, 500, 502, 504], "internal", "unknown"],
  ],
};

describe.each(Object.entries(ANSWERS))("%s answers", (name, answers) => {
  const step = name as StepName;

  test.each(answers)("%j is %s", async (statuses, kind, effect) => {
    for (const status of statuses) {
      calls.length = 0;
      setFaultMode(() => ({ type: "failBefore", status, headers: { location: `${standIn.url}/elsewhere` } }));
      const order = newOrder();
      const expected = kind === OK ? { status: "ok" } : { status: "failed", kind, effect, ...saysUnavailable(step, status) };
      expect(await runStep(threads, step, "perform", order), String(status)).toEqual(expected);
      // No redirect was followed, nothing was tried again in here.
      expect(calls).toHaveLength(1);
      if (kind !== "internal") continue;
      // A log line and an outcome may come in either order.
      const line = await eventually("it is in the log", () => logs.find(({ fields }) => fields.order_id === order.orderId));
      expect(line).toMatchObject({ level: "warn", message: `${step} provider answered ${status}` });
    }
  });

  test("a compensation answered with anything but 2xx is not done", async () => {
    for (const status of [300, 307, 400, 402, 404, 409, 410, 500, 503]) {
      calls.length = 0;
      setFaultMode(() => ({ type: "failBefore", status, headers: { location: `${standIn.url}/elsewhere` } }));
      const expected = { ...NOT_COMPENSATED, answer: `HTTP ${status}`, ...(status >= 500 && { unavailable: {} }) };
      expect(await runStep(threads, step, "compensate", newOrder())).toEqual(expected);
      expect(calls).toHaveLength(1);
    }
  });
});

describe.each(STEPS)("%s says when to ask again", (step) => {
  const retryAfter = (status: number, value: string): FaultMode => ({ type: "failBefore", status, headers: { "retry-after": value } });

  test.each([429, 503])("with %i, which is an outage at the courier's too", async (status) => {
    setFaultMode(() => retryAfter(status, "7"));
    for (const action of ["perform", "compensate"] as const) {
      expect(await runStep(threads, step, action, newOrder())).toMatchObject({ status: "failed", unavailable: { retryAfterMs: 7_000 } });
    }
  });

  test("with no other status, and not in words", async () => {
    setFaultMode(() => retryAfter(500, "7"));
    expect(await runStep(threads, step, "perform", newOrder())).toHaveProperty("unavailable", {});
    setFaultMode(() => retryAfter(409, "7"));
    expect(await runStep(threads, step, "perform", newOrder())).not.toHaveProperty("unavailable");
    setFaultMode(() => retryAfter(429, "soon"));
    expect(await runStep(threads, step, "perform", newOrder())).toHaveProperty("unavailable", {});
  });
});

describe("bodies", () => {
  test.each(["perform", "compensate"] as const)("that never end hold neither the step nor its connection (%s)", async (action) => {
    setFaultMode(() => ({ type: "endless" }));
    await fastOnce("five calls", 1000, async () => {
      const startedAt = performance.now();
      for (let n = 0; n < 5; n++) expect(await runStep(threads, "payment", action, newOrder())).toEqual({ status: "ok" });
      return performance.now() - startedAt;
    });
    await eventually("all of them were closed by the client", () => gone.length === calls.length);
  });
});

describe("answers of a server that is no provider", () => {
  test("are taken without a look at their bodies, and what is no answer has an unknown effect", async () => {
    let response = "";
    const { url, close } = await rawServer((socket) => void socket.end(response));
    const own = await startThreads({ payment: url }, [], 1);
    for (response of [
      "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{{{{{",
      "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nplain",
      "HTTP/1.0 200 OK\r\n\r\nuntil the connection closes",
    ]) {
      expect(await runStep(own, "payment", "perform", newOrder()), response).toEqual({ status: "ok" });
    }
    for (response of [
      "hello\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-le",
      `HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}`,
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "",
    ]) {
      expect(await runStep(own, "payment", "perform", newOrder()), response).toEqual(unreachable("payment", "unknown"));
    }
    await own.close();
    await close();
  });

  test("are none where a name does not resolve, or both its addresses refuse: surely no effect", async () => {
    const { url, close } = await rawServer(() => {});
    await close();
    const own = await startThreads({ payment: "http://nowhere.invalid", vendor: url.replace("127.0.0.1", "localhost") }, [], 1);
    for (const step of ["payment", "vendor"] as const) {
      expect(await runStep(own, step, "perform", newOrder())).toEqual(unreachable(step, "none"));
    }
    await own.close();
  });
});

test("a step without a URL is simulated", async () => {
  const threads = await startThreads({ vendor: standIn.url }, [], 1);
  for (const step of STEPS) expect(await runStep(threads, step, "perform", newOrder())).toEqual({ status: "ok" });
  expect(calls.map(({ step }) => step)).toEqual(["vendor"]);
  await threads.close();
});
