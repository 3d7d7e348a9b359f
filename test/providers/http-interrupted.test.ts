import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/canceled.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { Layout } from "../../src/threads/layout.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { httpProvider } from "../../workers/providers/http.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import {
  calls,
  gone,
  ledgerCounts,
  longerThanCalls,
  NOT_COMPENSATED,
  newOrder,
  rawServer,
  setFaultMode,
  standIn,
  threads,
  unreachable,
} from "./http-fixture.ts";
import { runStep, startThreads } from "./threads.ts";

const CHARGED = { acted: 1, compensated: 0 };

describe.each(STEPS)("%s connection", (step) => {
  test.each([
    ["reset before it acted", "hangUpBefore", 0],
    ["closed after it acted", "hangUpAfter", 1],
  ] as const)("%s has an unknown effect, and the compensation settles it", async (_what, type, acted) => {
    const order = newOrder();
    setFaultMode(({ action }) => (action === "perform" ? { type } : undefined));
    expect(await runStep(threads, step, "perform", order)).toEqual(unreachable(step, "unknown"));
    expect(ledgerCounts(step, order) ?? { acted: 0, compensated: 0 }).toEqual({ acted, compensated: 0 });
    expect(await runStep(threads, step, "compensate", order)).toEqual({ status: "ok" });
    expect(ledgerCounts(step, order)).toEqual({ acted, compensated: acted });
  });

  test("closed halfway through the body of a 200 is an answer all the same", async () => {
    const order = newOrder();
    setFaultMode(() => ({ type: "hangUpHalfway" }));
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
    setFaultMode(({ action }) => (action === "perform" ? { type: "late", lateMs } : undefined));
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
    setFaultMode(() => ({ type: "answer", slowMs: 10_000 }));
    const scope = new CancelScope<CancelCause>();
    const compensating = runStep(threads, "payment", "compensate", newOrder(), scope);
    await eventually("it has arrived", () => calls.length === 1);
    scope.cancel("deadline");
    expect(await compensating).toMatchObject({ status: "canceled", cause: "deadline" });
    await eventually("its socket is closed", () => gone.length === 1);
  });
});

describe("cancel", () => {
  test("closes the socket at once", async () => {
    setFaultMode(() => ({ type: "answer", slowMs: 600_000 }));
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
    setFaultMode(({ action }) => (action === "perform" ? { type: "late", lateMs: 8 } : undefined));
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
    setFaultMode(({ nth }) => ({ type: "failBefore", status: statuses[(calls.length + nth) % statuses.length] ?? 200 }));
    for (let n = 0; n < 100; n++) await runStep(threads, STEPS[n % 3] as StepName, n % 2 === 0 ? "perform" : "compensate", newOrder());
    expect(calls).toHaveLength(101);
    expect(standIn.connections.accepted).toBe(before);
  });

  test("die with their thread", async () => {
    const threads = await startThreads({ payment: standIn.url }, [], 1);
    setFaultMode(() => ({ type: "answer", slowMs: 10_000 }));
    const running = runStep(threads, "payment", "perform", newOrder());
    await eventually("the call has arrived", () => calls.length === 1);
    threads.killThread();
    expect(await running).toMatchObject({ status: "lost", effect: "unknown" });
    await eventually("its socket is closed", () => gone.length === 1);
    await threads.close();
  });
});
