import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput } from "../../src/orders/step.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import type { LogNews } from "../../src/telemetry/thread-news.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/canceled.ts";
import { CancelScope, type Threads } from "../../src/threads/index.ts";
import { Layout } from "../../src/threads/layout.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { httpProvider } from "../../workers/providers/http.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

const NOT_COMPENSATED = { status: "failed", kind: "internal", effect: "unknown" };
const CHARGED = { acted: 1, compensated: 0 };
let faultMode: (call: Call) => FaultMode | undefined = () => undefined;
let calls: Call[] = [];
let gone: Call[] = [];
const logs: LogNews[] = [];
let standIn: StandIn;
let threads: Threads;
let nextOrder = 1;

beforeAll(async () => {
  standIn = await startStandIn({
    faultModeOf(call) {
      calls.push(call);
      return faultMode(call);
    },
    onGone: (call) => void gone.push(call),
  });
  // One thread, so that connections can be counted.
  const urls = {
    ...perStep(() => standIn.url),
    payment: `${standIn.url}/`,
    vendor: `${standIn.url}/shop/v1`,
    courier: `${standIn.url}/a/b/`,
  };
  threads = await startThreads(urls, logs, 1);
});
beforeEach(() => {
  faultMode = () => undefined;
  calls = [];
  gone = [];
  logs.length = 0;
});
afterEach(() => {
  expect(threads.counters()).toEqual(NOTHING_LEFT);
  expect(threads.totals().running).toBe(0);
  expect([...threads.statistics().replaced]).toEqual([]);
  expect(standIn.ledger.snapshot().malformed).toEqual([]);
});
afterAll(async () => {
  await threads.close();
  await eventually("the threads' connections are closed", () => standIn.connections.open === 0);
  await standIn.close();
});

function newOrder(more: Partial<AttemptInput> = {}): AttemptInput {
  return { orderId: `http-${nextOrder++}`, amount: 4200, attempt: 1, ...more };
}

/** Milliseconds in which this machine surely gets two calls done, by how long one takes now. */
async function longerThanCalls(step: StepName): Promise<number> {
  const startedAt = performance.now();
  await runStep(threads, step, "perform", newOrder());
  calls = [];
  return 50 + 20 * (performance.now() - startedAt);
}

function ledgerCounts(step: StepName, { orderId, attempt }: AttemptInput): { acted: number; compensated: number } | undefined {
  const entry = standIn.ledger.find(step, `${orderId}:${attempt}:${step}`);
  return entry && { acted: entry.acted.length, compensated: entry.compensated.length };
}

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
      calls = [];
      faultMode = () => ({ type: "failBefore", status, headers: { location: `${standIn.url}/elsewhere` } });
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
      calls = [];
      faultMode = () => ({ type: "failBefore", status, headers: { location: `${standIn.url}/elsewhere` } });
      const expected = { ...NOT_COMPENSATED, answer: `HTTP ${status}`, ...(status >= 500 && { unavailable: {} }) };
      expect(await runStep(threads, step, "compensate", newOrder())).toEqual(expected);
      expect(calls).toHaveLength(1);
    }
  });
});

const UNREACHABLE: Record<StepName, string> = {
  ...perStep((step) => STEP_TABLE[step].meaning.unreachable),
  payment: "payment_unavailable",
  vendor: "vendor_unavailable",
  courier: "internal",
};

const unreachable = (step: StepName, effect: "none" | "unknown") => ({
  status: "failed",
  kind: UNREACHABLE[step],
  effect,
  unavailable: {},
});

describe.each(STEPS)("%s says when to ask again", (step) => {
  const retryAfter = (status: number, value: string): FaultMode => ({ type: "failBefore", status, headers: { "retry-after": value } });

  test.each([429, 503])("with %i, which is an outage at the courier's too", async (status) => {
    faultMode = () => retryAfter(status, "7");
    for (const action of ["perform", "compensate"] as const) {
      expect(await runStep(threads, step, action, newOrder())).toMatchObject({ status: "failed", unavailable: { retryAfterMs: 7_000 } });
    }
  });

  test("with no other status, and not in words", async () => {
    faultMode = () => retryAfter(500, "7");
    expect(await runStep(threads, step, "perform", newOrder())).toHaveProperty("unavailable", {});
    faultMode = () => retryAfter(409, "7");
    expect(await runStep(threads, step, "perform", newOrder())).not.toHaveProperty("unavailable");
    faultMode = () => retryAfter(429, "soon");
    expect(await runStep(threads, step, "perform", newOrder())).toHaveProperty("unavailable", {});
  });
});

describe.each(STEPS)("%s connection", (step) => {
  test.each([
    ["reset before it acted", "hangUpBefore", 0],
    ["closed after it acted", "hangUpAfter", 1],
  ] as const)("%s has an unknown effect, and the compensation settles it", async (_what, type, acted) => {
    const order = newOrder();
    faultMode = ({ action }) => (action === "perform" ? { type } : undefined);
    expect(await runStep(threads, step, "perform", order)).toEqual(unreachable(step, "unknown"));
    expect(ledgerCounts(step, order) ?? { acted: 0, compensated: 0 }).toEqual({ acted, compensated: 0 });
    expect(await runStep(threads, step, "compensate", order)).toEqual({ status: "ok" });
    expect(ledgerCounts(step, order)).toEqual({ acted, compensated: acted });
  });

  test("closed halfway through the body of a 200 is an answer all the same", async () => {
    const order = newOrder();
    faultMode = () => ({ type: "hangUpHalfway" });
    expect(await runStep(threads, step, "perform", order)).toEqual({ status: "ok" });
    expect(ledgerCounts(step, order)).toEqual(CHARGED);
  });

  test("refused has surely had no effect", async () => {
    const order = newOrder();
    const up = standIn.down(await longerThanCalls(step), "refuse");
    await eventually("its connections are gone", () => standIn.connections.open === 0);
    expect(await runStep(threads, step, "perform", order)).toEqual(unreachable(step, "none"));
    // What says of an address that nobody is there, whatever the row.
    expect(await runStep(threads, step, "compensate", order)).toEqual({
      ...NOT_COMPENSATED,
      effect: "none",
      answer: "ECONNREFUSED",
      unavailable: {},
    });
    await up;
    expect(ledgerCounts(step, order)).toBeUndefined();
    expect(await runStep(threads, step, "perform", order)).toEqual({ status: "ok" });
  });
});

describe("compensate", () => {
  test("of a call that arrives late: the tombstone refuses it", async () => {
    const step = "vendor";
    const order = newOrder();
    const lateMs = await longerThanCalls(step);
    faultMode = ({ action }) => (action === "perform" ? { type: "late", lateMs } : undefined);
    const scope = new CancelScope<CancelCause>();
    const running = runStep(threads, step, "perform", order, scope);
    await eventually("the call has arrived", () => calls.length === 1);
    scope.cancel("deadline");
    expect(await running).toEqual({ status: "canceled", cause: "deadline", effect: "unknown" });
    expect(await runStep(threads, step, "compensate", order)).toEqual({ status: "ok" });
    await standIn.quiet();
    expect(ledgerCounts(step, order)).toEqual({ acted: 0, compensated: 0 });
    expect(standIn.ledger.find(step, `${order.orderId}:1:${step}`)?.tooLate).toBe(1);
  });

  test("stops with its own run", async () => {
    faultMode = () => ({ type: "answer", slowMs: 10_000 });
    const scope = new CancelScope<CancelCause>();
    const compensating = runStep(threads, "payment", "compensate", newOrder(), scope);
    await eventually("it has arrived", () => calls.length === 1);
    scope.cancel("deadline");
    expect(await compensating).toMatchObject({ status: "canceled", cause: "deadline" });
    await eventually("its socket is closed", () => gone.length === 1);
  });
});

describe("bodies", () => {
  test.each(["perform", "compensate"] as const)("that never end hold neither the step nor its connection (%s)", async (action) => {
    faultMode = () => ({ type: "endless" });
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

describe("cancel", () => {
  test("closes the socket at once", async () => {
    faultMode = () => ({ type: "answer", slowMs: 600_000 });
    await fastOnce("the closing", 100, async () => {
      const scope = new CancelScope<CancelCause>();
      const running = Promise.all(STEPS.map((step) => runStep(threads, step, "perform", newOrder(), scope)));
      await eventually("all calls have arrived", () => calls.length === gone.length + STEPS.length);
      const canceledAt = performance.now();
      scope.cancel("client_disconnected");
      for (const outcome of await running) expect(outcome).toEqual({ status: "canceled", cause: "client_disconnected", effect: "unknown" });
      await eventually("all sockets are closed", () => gone.length === calls.length);
      return performance.now() - canceledAt;
    });
    expect(standIn.ledger.pending).toBe(0);
  });

  test("before it was sent never sends it", async () => {
    const scope = new CancelScope<CancelCause>();
    const running = Promise.all(STEPS.map((step) => runStep(threads, step, "perform", newOrder(), scope)));
    scope.cancel("sibling_failed");
    for (const outcome of await running) expect(outcome).toEqual({ status: "canceled", cause: "sibling_failed", effect: "none" });
    await sleep(20);
    expect(calls).toEqual([]);
  });

  test.each(["perform", "compensate"] as const)("that the signal has not heard of yet sends nothing (%s)", async (action) => {
    const layout = Layout.allocate({ slots: 1, rows: 1 });
    const board = CancelBoard.create(layout, BUILT_IN_CAUSES);
    const context = new TaskContext(board, 0, 0);
    board.cancel(0, 0, "deadline");
    const provider = httpProvider({ payment: standIn.url });
    const simulation = { fails: false, delayMs: undefined, cpuMs: undefined };
    const input = { orderId: "canceled", amount: 1, attempt: 1, traceparent: undefined, simulation };
    await expect(provider[action]("payment", input, context)).rejects.toMatchObject({ name: "Canceled", causedBy: "deadline" });
    expect(context.progress).toBeUndefined();
    expect(calls).toEqual([]);
  });

  test("while the connection is being made ends the step at once", async () => {
    // It takes the connection and answers no TLS greeting.
    const { url, sockets, close } = await rawServer(() => {});
    const threads = await startThreads({ payment: url.replace("http:", "https:") }, [], 1);
    await fastOnce("the stop", 100, async () => {
      const scope = new CancelScope<CancelCause>();
      const running = runStep(threads, "payment", "perform", newOrder(), scope);
      await eventually("the connection has begun", () => sockets.size > 0);
      const canceledAt = performance.now();
      scope.cancel("deadline");
      expect(await running).toMatchObject({ status: "canceled", cause: "deadline" });
      const tookMs = performance.now() - canceledAt;
      for (const socket of sockets) socket.destroy();
      await eventually("the connection is gone", () => sockets.size === 0);
      return tookMs;
    });
    await threads.close();
    await close();
  });

  test("swept over a call's whole way: whoever says there was no effect is right, and compensating settles the rest", async () => {
    faultMode = ({ action }) => (action === "perform" ? { type: "late", lateMs: 8 } : undefined);
    // A little longer than a call takes here.
    let sweepMs = 0;
    for (let n = 0; n < 5; n++) {
      const startedAt = performance.now();
      await runStep(threads, "payment", "perform", newOrder());
      sweepMs = Math.max(sweepMs, 1.5 * (performance.now() - startedAt));
    }
    let none = 0;
    let unknown = 0;
    for (let n = 0; n < 160 || ((none === 0 || unknown === 0) && n < 2400); n++) {
      const order = newOrder();
      const scope = new CancelScope<CancelCause>();
      const running = runStep(threads, "payment", "perform", order, scope);
      const spinUntil = performance.now() + ((n % 80) / 80) * sweepMs;
      if (n % 80 < 20) await Promise.resolve();
      else await sleep(0);
      while (performance.now() < spinUntil) await new Promise(setImmediate);
      scope.cancel("sibling_failed");
      const outcome = await running;
      if (outcome.status === "ok") continue;
      await standIn.quiet();
      if (outcome.effect === "none") {
        none++;
        expect(ledgerCounts("payment", order)).toBeUndefined();
      } else {
        unknown++;
        await runStep(threads, "payment", "compensate", order);
        const { acted, compensated } = ledgerCounts("payment", order) ?? { acted: 0, compensated: 0 };
        expect(compensated).toBe(acted);
      }
    }
    expect(none).toBeGreaterThan(0);
    expect(unknown).toBeGreaterThan(0);
  });
});

describe("connections", () => {
  test("are used again, after refusals and failures too", async () => {
    await runStep(threads, "payment", "perform", newOrder());
    const before = standIn.connections.accepted;
    const statuses = [200, 402, 404, 500, 503, 307, 204];
    faultMode = ({ nth }) => ({ type: "failBefore", status: statuses[(calls.length + nth) % statuses.length] ?? 200 });
    for (let n = 0; n < 100; n++) await runStep(threads, STEPS[n % 3] as StepName, n % 2 === 0 ? "perform" : "compensate", newOrder());
    expect(calls).toHaveLength(101);
    expect(standIn.connections.accepted).toBe(before);
  });

  test("die with their thread", async () => {
    const threads = await startThreads({ payment: standIn.url }, [], 1);
    faultMode = () => ({ type: "answer", slowMs: 10_000 });
    const running = runStep(threads, "payment", "perform", newOrder());
    await eventually("the call has arrived", () => calls.length === 1);
    threads.killThread();
    expect(await running).toMatchObject({ status: "lost", effect: "unknown" });
    await eventually("its socket is closed", () => gone.length === 1);
    await threads.close();
  });
});

test("a step without a URL is simulated", async () => {
  const threads = await startThreads({ vendor: standIn.url }, [], 1);
  for (const step of STEPS) expect(await runStep(threads, step, "perform", newOrder())).toEqual({ status: "ok" });
  expect(calls.map(({ step }) => step)).toEqual(["vendor"]);
  await threads.close();
});

/** A server that speaks no HTTP by itself: `respond` gets every connection once a request has come in on it. */
async function rawServer(respond: (socket: Socket) => void): Promise<{ url: string; sockets: Set<Socket>; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => respond(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    sockets,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
