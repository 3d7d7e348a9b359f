import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { OrderService } from "../../src/orders/order-service.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { Capacity, monotonicMs } from "../../src/threads/index.ts";
import { JournalFixture, keyOf, NOW } from "../journal/journal-fixture.ts";
import { temporaryFile } from "../journal/temporary-file.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

// The time of an order counts from when it was asked for. A process that was frozen, or a journal that was slow, may accept it much later.

const TIMEOUT_MS = 60_000;

function serviceOn(journal: Journal, runner: FakeRunner): { service: OrderService; compensator: Compensator } {
  const pipeline = new Pipeline(
    runner,
    perStep(() => new Capacity(10)),
  );
  const compensator = new Compensator({ runner, journal, timeoutMs: TIMEOUT_MS });
  const service = new OrderService({ pipeline, journal, compensator, orderTimeoutMs: TIMEOUT_MS, maxInFlight: 10 });
  service.open();
  return { service, compensator };
}

describe("the time of an order", () => {
  let at: JournalFixture;
  let runner: FakeRunner;
  let service: OrderService;

  beforeEach(async () => {
    at = await JournalFixture.open("memory", { events: true });
    runner = new FakeRunner();
    service = serviceOn(at.journal, runner).service;
  });

  afterEach(async () => {
    service.cancelAll("shutdown");
    await service.drain();
    await at[Symbol.asyncDispose]();
  });

  const place = (lateMs: number, signal?: AbortSignal) =>
    service.place({
      order: { orderId: "o", amount: 1 },
      key: keyOf("k", "body", Date.now() + NOW),
      receivedAtMs: monotonicMs() - lateMs,
      ...(signal !== undefined && { signal }),
    });

  test("of an order that was accepted when its time was over no step runs, and it may be sent again at once", async () => {
    const { answer } = await place(TIMEOUT_MS);
    expect(await answer).toMatchObject({ error: "timeout" });
    expect(runner.started).toEqual([]);
    expect(service.inFlight).toBe(0);
    expect((await at.journal.find("o"))?.latest).toMatchObject({ attempt: 1, ended: { interrupted: false }, compensations: [] });
    expect((await at.payloads()).map(({ type }) => type)).toEqual(["order.failed"]);
    // Its key has the answer, as that of any order whose time was over.
    expect(await (await place(0)).answer).toMatchObject({ error: "timeout" });
    await service.place({ order: { orderId: "o", amount: 1 } });
    expect(runner.started.map(({ input }) => input.attempt)).toEqual(STEPS.map(() => 2));
  });

  test("one that was accepted late but in time runs for the rest of it", async () => {
    const { answer } = await place(TIMEOUT_MS / 2);
    runner.endAll();
    expect(await answer).not.toHaveProperty("error");
    expect(runner.names()).toEqual([...STEPS]);
  });

  test("one that was accepted just before its time was over is canceled then", async () => {
    const startMs = performance.now();
    const { answer } = await place(TIMEOUT_MS - 1_000);
    expect(runner.names()).toEqual([...STEPS]);
    expect(await answer).toMatchObject({ error: "timeout" });
    expect(performance.now() - startMs).toBeLessThan(TIMEOUT_MS);
  });

  test("who waited for an attempt that was canceled has all its time for the next", async () => {
    const client = new AbortController();
    for (const step of STEPS) runner.ignoringCancel.add(step);
    const first = await place(0, client.signal);
    client.abort();
    const second = place(TIMEOUT_MS);
    runner.ignoringCancel.clear();
    for (const step of runner.started) step.end({ status: "canceled", cause: "client_disconnected", effect: "none" });
    expect(await first.answer).toMatchObject({ error: "canceled" });
    const { answer } = await second;
    for (const step of runner.started.filter(({ input }) => input.attempt === 2)) step.end({ status: "ok" });
    expect(await answer).not.toHaveProperty("error");
  });
});

test("a repeat that is accepted in the very commit that stores the failure before it can be joined and canceled", async () => {
  const commits: number[] = [];
  const journal = await Journal.open(temporaryFile(), { onCommit: (requests) => commits.push(requests) });
  const runner = new FakeRunner();
  const { service, compensator } = serviceOn(journal, runner);
  try {
    const first = await service.place({ order: { orderId: "o", amount: 1 } });
    runner.step("vendor").end({ status: "failed", kind: "vendor_unavailable", effect: "none" });
    runner.endAll({ status: "canceled", cause: "sibling_failed", effect: "none" });
    // In the same turn of the event loop, so both share a commit; the outcome first, for that is only some promises away.
    for (let n = 0; n < 20; n++) await Promise.resolve();
    const repeat = service.place({ order: { orderId: "o", amount: 1 } });
    expect((await first.answer).error).toBe("vendor_unavailable");
    const second = await repeat;
    expect(commits).toEqual([1, 2]);
    await eventually("its steps", () => runner.running === STEPS.length);
    const third = await service.place({ order: { orderId: "o", amount: 1 } });
    expect(service.inFlight).toBe(2);
    runner.onStart = (step) => step.end({ status: "ok" });
    service.cancelAll("shutdown");
    expect((await second.answer).error).toBe("canceled");
    expect(await third.answer).toEqual(await second.answer);
    expect(service.inFlight).toBe(0);
    expect(runner.started.filter(({ spec }) => spec.action === "perform")).toHaveLength(2 * STEPS.length);
  } finally {
    await compensator.stop();
    await journal.close();
  }
});
