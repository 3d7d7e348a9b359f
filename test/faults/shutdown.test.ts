import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { OrderService } from "../../src/orders/order-service.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

const EVER_MS = 600_000;

test("an order that is being written down when a shutdown cancels all others makes no call, and binds no key", async () => {
  const journal = await Journal.open("memory");
  const runner = new FakeRunner();
  const compensator = new Compensator({ runner, journal, timeoutMs: EVER_MS });
  // Holds back the answer of the journal, which has written the order down.
  const gate = Promise.withResolvers<void>();
  let written = 0;
  const orders = new OrderService({
    pipeline: new Pipeline(
      runner,
      perStep(() => new Capacity(9)),
    ),
    journal: {
      async accept(request) {
        const result = await journal.accept(request);
        written++;
        if (request.orderId === "late") await gate.promise;
        return result;
      },
      finish: (request) => journal.finish(request),
      answer: (request) => journal.answer(request),
    },
    compensator,
    orderTimeoutMs: EVER_MS,
    maxInFlight: 9,
  });
  orders.open();
  try {
    // One that runs shows what the cancel does to others.
    const running = await orders.place({ order: { orderId: "runs", amount: 1 } });
    await eventually("its calls", () => runner.running === STEPS.length);
    const key = { client: "", key: "k", bodyHash: "body", expiresMs: Date.now() + EVER_MS };
    const placing = orders.place({ order: { orderId: "late", amount: 1 }, key });
    await eventually("it to be written down", () => written === 2);
    orders.cancelAll("shutdown");
    const calls = () => runner.started.filter(({ spec, input }) => spec.action === "perform" && input.orderId === "late");
    gate.resolve();
    const late = await placing;
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(calls()).toEqual([]);
    expect((await late.answer).error).toBe("canceled");
    runner.onStart = (step) => step.end({ status: "ok" });
    expect((await running.answer).error).toBe("canceled");
    await orders.drain();
    expect(calls()).toEqual([]);
    // Nothing was done, so nothing is to be undone.
    expect(await journal.find("late")).toMatchObject({ latest: { ended: { answer: { error: { kind: "canceled" } } }, compensations: [] } });
    expect(await journal.accept({ orderId: "late", amount: 1, key, nowMs: Date.now() })).toEqual({ type: "accepted", attempt: 2 });
  } finally {
    gate.resolve();
    await compensator.stop();
    await journal.close();
  }
});
