import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { answerTo } from "../../src/orders/answer.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { OrderService } from "../../src/orders/order-service.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import type { Pass } from "../../src/resilience/circuit-breaker.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
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

const ORDERS = 50;

function timesOf(outcome: OrderOutcome): number[] {
  return answerTo("o", outcome, []).steps.map(({ duration_ms: ms }) => ms);
}

test.each(STEPS)(
  "an answer has whole milliseconds also where the circuit of %s refuses the order, at once or at its probe",
  async (step) => {
    const runner = new FakeRunner();
    const health = new ProviderHealth({ opensAfter: 1, random: () => 1 });
    const pipeline = new Pipeline(
      runner,
      perStep(() => new Capacity(ORDERS)),
      { [step]: health },
    );
    const run = () => pipeline.run({ orderId: "o", amount: 1, attempt: 1 }, new CancelScope<CancelCause>());
    health.circuit.leave(health.circuit.tryEnter("failing") as Pass, "failed");

    const refused = await Promise.all(Array.from({ length: ORDERS }, run));
    expect(runner.started).toEqual([]);
    expect(refused.flatMap(timesOf).filter((ms) => !Number.isInteger(ms) || ms < 0)).toEqual([]);

    await eventually("its probe to be due", () => health.circuit.admits);
    const probing = run();
    expect(runner.names()).toEqual([step]);
    runner.step(step).end({ status: "failed", kind: "internal", effect: "none" });
    const probed = timesOf(await probing);
    expect(probed).toHaveLength(STEPS.length);
    expect(probed.filter((ms) => !Number.isInteger(ms) || ms < 0)).toEqual([]);
  },
);
