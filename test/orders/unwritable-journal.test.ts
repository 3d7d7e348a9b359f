import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { OrderServiceFixture } from "./order-service-fixture.ts";

const OK = { status: "ok" } as const;
const ALL = STEPS.toSorted();

test("an order that cannot be written down is refused before any step runs, and leaves its place", async () => {
  await using at = new OrderServiceFixture({ maxInFlight: 1 });
  at.journal.full = true;
  for (let n = 0; n < 3; n++) await expect(at.place()).rejects.toMatchObject({ kind: "internal" });
  expect(at.runner.started).toEqual([]);
  expect(at.orderService.inFlight).toBe(0);
  at.journal.full = false;
  const { answer } = await at.place();
  at.end();
  expect(await answer).not.toHaveProperty("error");
  expect(at.orderService.inFlight).toBe(0);
});

test("an outcome that cannot be stored is not reported: the order fails and is compensated at once, and that is stored when it can be", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const before = timers();
  const { answer } = await at.place();
  at.journal.full = true;
  at.end();
  const { error, json } = await answer;
  expect(error).toBe("internal");
  // Word for word what the next start would write of it.
  const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  expect(json).toBe(JSON.stringify({ status: "error", order_id: "o", steps, error: { kind: "internal", message: "order failed" } }));
  expect(at.compensated()).toEqual(ALL);
  // Until it is stored the attempt is open in the journal, so the order counts as in flight.
  expect(at.journal.finished).toEqual([]);
  expect(at.orderService.inFlight).toBe(1);
  at.journal.full = false;
  await eventually("the failure to be stored", () => at.journal.finished.length === 1);
  const [finished] = at.journal.finished;
  expect(finished?.answer).toEqual({ error: "internal", json });
  expect(finished?.compensations.map(({ tries, nextTryMs }) => [tries, nextTryMs])).toEqual(STEPS.map(() => [1, undefined]));
  await at.orderService.drain();
  expect([at.orderService.inFlight, at.compensator.inFlight, at.runner.running]).toEqual([0, 0, 0]);
  expect([at.runner.opened, timers()]).toEqual([at.runner.closed, before]);
  // Nothing is tried a second time.
  expect(at.compensated()).toEqual(ALL);
  expect(at.faults).toEqual(["an outcome could not be stored; its order fails and is compensated"]);
});

test("compensations under way while a failure cannot be stored are written down with it once it can be", async () => {
  await using at = new OrderServiceFixture();
  const { answer } = await at.place();
  at.journal.full = true;
  at.end();
  // The client does not wait for calls that hang.
  expect((await answer).error).toBe("internal");
  const [vendor, ...others] = at.steps("compensate");
  vendor?.end({ status: "ok" });
  await turn();
  at.journal.full = false;
  await eventually("the failure to be stored", () => at.journal.finished.length === 1);
  const done = at.journal.rows.find(({ step }) => step === vendor?.spec.name);
  expect(done).toMatchObject({ tries: 1, nextTryMs: undefined });
  for (const { spec } of others) {
    const row = at.journal.row(spec.name as "payment", "o");
    // Not due as long as the call may be under way.
    expect(row.tries).toBe(0);
    expect(row.nextTryMs).toBeGreaterThan(Date.now() + 60_000);
  }
  for (const step of others) step.end({ status: "ok" });
  await eventually("them to be written down", () => at.journal.rows.every(({ nextTryMs }) => nextTryMs === undefined));
  expect(at.journal.rows.map(({ tries }) => tries)).toEqual(STEPS.map(() => 1));
  expect(at.steps("compensate")).toHaveLength(STEPS.length);
});

test("a client that asks again before a failure could be stored waits, and its order is a new attempt", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  at.journal.refusals.finish = 1;
  at.end();
  expect((await answer).error).toBe("internal");
  // As HTTP does when the answer has been sent.
  client.abort();
  const { answer: second } = await at.place();
  await eventually("the new attempt", () => at.steps("perform", "o", 2).length === STEPS.length);
  at.end({ status: "ok" }, "o", 2);
  expect(await second).not.toHaveProperty("error");
  expect(at.journal.finished.map(({ attempt, answer: { error } }) => [attempt, error])).toEqual([
    [1, "internal"],
    [2, undefined],
  ]);
  expect(at.orderService.inFlight).toBe(0);
});

test("a shutdown gives up on storing: the next start closes and compensates the attempt", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const before = timers();
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  at.journal.full = true;
  at.end();
  expect((await answer).error).toBe("internal");
  client.abort();
  at.journal.full = false;
  at.journal.refusals.finish = 1_000;
  // Nor does whoever waits for it keep the process.
  const waiting = at.place().catch((error: unknown) => error);
  await turn();
  const drained = at.orderService.drain();
  at.orderService.cancelAll("shutdown");
  await drained;
  expect(await waiting).toMatchObject({ kind: "shutting_down" });
  expect(at.journal.finished).toEqual([]);
  expect([at.orderService.inFlight, timers()]).toEqual([0, before]);
});

test("a finish that the journal will never take does not hold its place for ever", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const { answer } = await at.place();
  at.journal.finish = () => Promise.reject(new Error("attempt 1 is not open"));
  at.end();
  expect((await answer).error).toBe("internal");
  await eventually("its place back", () => at.orderService.inFlight === 0);
  expect(at.faults).toEqual([
    "an outcome could not be stored; its order fails and is compensated",
    "an outcome can never be stored; the next start closes its order",
  ]);
});

test("an order for which the threads have no room fails, is stored as failed and leaves no timer behind", async () => {
  await using at = new OrderServiceFixture();
  const before = timers();
  at.runner.room = 0;
  const { answer } = await at.place();
  expect((await answer).error).toBe("internal");
  expect(at.journal.finished).toMatchObject([{ answer: { error: "internal" }, compensations: [] }]);
  expect(at.faults).toEqual(["an order could not be run to its end"]);
  expect([at.orderService.inFlight, timers()]).toEqual([0, before]);
});
