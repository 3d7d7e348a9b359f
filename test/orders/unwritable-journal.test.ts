import { expect, test, vi } from "vitest";
import { AnswerLost } from "../../src/orders/attempt-runner.ts";
import { FIRST_TRIES } from "../../src/orders/compensation-call.ts";
import { JournalUnreachable } from "../../src/orders/order-journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { OK, settle } from "./compensator-fixture.ts";
import { OrderServiceFixture } from "./order-service-fixture.ts";

const ALL = STEPS.toSorted();

/** An order's steps end, the vendor's with a failure of which nobody knows what it did. */
function fail(at: OrderServiceFixture, orderId = "o"): void {
  for (const step of at.steps("perform", orderId)) {
    step.end(step.spec.name === "vendor" ? { status: "failed", kind: "vendor_unavailable", effect: "unknown" } : OK);
  }
}

/** The first look for rows that are due may leave one for 20 ms. */
async function noTimersBut(before: number): Promise<void> {
  await eventually("all timers to be stopped", timers, (count) => count === before);
}

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

test("an order is refused as overloaded, to be sent again in a second, where the journal's server cannot be reached", async () => {
  await using at = new OrderServiceFixture({ maxInFlight: 1 });
  vi.spyOn(at.journal, "accept").mockRejectedValueOnce(new JournalUnreachable("connection refused"));
  await expect(at.place()).rejects.toMatchObject({ kind: "overloaded", retryAfterSeconds: 1 });
  expect([at.runner.started, at.orderService.inFlight, at.faults]).toEqual([[], 0, []]);
});

test("after a long outage of the journal what has ended meanwhile is stored within a second", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await using at = new OrderServiceFixture({ orderTimeoutMs: 3_600_000 });
    const placed = await Promise.all(["a", "b", "c"].map((orderId) => at.place(orderId)));
    at.journal.full = true;
    for (const orderId of ["a", "b", "c"]) at.end(OK, orderId);
    await Promise.all(placed.map(({ answer }) => expect(answer).rejects.toBeInstanceOf(AnswerLost)));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(at.journal.finished).toEqual([]);
    at.journal.full = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(at.journal.finished).toHaveLength(3);
  } finally {
    vi.useRealTimers();
  }
});

test("an answer that cannot be stored is not sent; its true outcome is stored when it can be, and nothing of a placed order is compensated", async () => {
  const before = timers();
  await using at = new OrderServiceFixture({ compensate: OK });
  const { answer } = await at.place();
  const joiner = await at.place();
  at.journal.full = true;
  at.end();
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  await expect(joiner.answer).rejects.toBeInstanceOf(AnswerLost);
  // Until it is stored the attempt is open in the journal, so the order counts as in flight. Who joined it does not.
  expect([at.journal.finished, at.orderService.inFlight]).toEqual([[], 1]);
  expect(at.faults).toEqual(["an outcome could not be stored: its client gets no answer"]);
  at.journal.full = false;
  await at.orderService.drain();
  const steps = STEPS.map((name) => ({ name, status: "ok", duration_ms: expect.any(Number) }));
  expect(at.journal.finished).toMatchObject([{ answered: false, compensations: [] }]);
  expect(JSON.parse(at.journal.finished[0]?.answer.json ?? "")).toEqual({ status: "ok", order_id: "o", steps });
  expect(at.compensated()).toEqual([]);
  expect([at.orderService.inFlight, at.compensator.inFlight, at.runner.running]).toEqual([0, 0, 0]);
  expect(at.runner.opened).toBe(at.runner.closed);
  await noTimersBut(before);
});

test("a failure that cannot be stored is compensated once it is, and not before: its rows come first", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const { answer } = await at.place();
  at.journal.full = true;
  fail(at);
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  await settle();
  expect([at.compensated(), at.compensator.inFlight]).toEqual([[], 0]);
  at.journal.full = false;
  await eventually("the answer to be stored", () => at.journal.answered.length === 1);
  expect(at.journal.finished).toMatchObject([{ answer: { error: "vendor_unavailable" }, answered: false }]);
  expect(at.compensated()).toEqual(ALL);
  await eventually("them to be written down", () => at.journal.rows.every(({ status }) => status === "done"));
  expect(at.journal.rows.map(({ tries }) => tries)).toEqual(STEPS.map(() => 1));
  expect(at.journal.answered).toMatchObject([{ answered: false }]);
  expect(at.orderService.inFlight).toBe(0);
});

test("places for first tries of failures that cannot be stored are free for others meanwhile", async () => {
  await using at = new OrderServiceFixture({ maxInFlight: 200 });
  at.journal.refusals.finish = Number.POSITIVE_INFINITY;
  for (let n = 0; n <= FIRST_TRIES; n++) {
    const { answer } = await at.place(`o-${n}`);
    fail(at, `o-${n}`);
    await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  }
  await settle();
  expect([at.compensator.inFlight, at.runner.running, at.orderService.inFlight]).toEqual([0, 0, FIRST_TRIES + 1]);
  const plan = at.compensator.plan(STEPS);
  expect(plan.map(({ trying }) => trying)).toEqual(STEPS.map(() => true));
  at.compensator.release(plan);
});

test("who asks again before the outcome could be stored waits and gets what has become of the order: placed, the stored answer", async () => {
  await using at = new OrderServiceFixture();
  const { answer } = await at.place();
  at.journal.refusals.finish = 1;
  at.end();
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  const again = await at.place();
  expect(again.replayed).toBe(true);
  expect(await again.answer).toEqual(at.journal.finished[0]?.answer);
  expect(at.steps("perform")).toHaveLength(STEPS.length);
  expect([at.orderService.inFlight, at.journal.finished.length]).toEqual([0, 1]);
});

test("who asks again before the outcome could be stored waits and gets what has become of the order: failed, a new attempt", async () => {
  await using at = new OrderServiceFixture({ compensate: OK });
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  at.journal.refusals.finish = 1;
  fail(at);
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  // As HTTP does, which closes the connection.
  client.abort();
  const { answer: second } = await at.place();
  at.end(OK, "o", 2);
  expect(await second).not.toHaveProperty("error");
  expect(at.journal.finished.map(({ attempt, answer: { error } }) => [attempt, error])).toEqual([
    [1, "vendor_unavailable"],
    [2, undefined],
  ]);
  expect(at.orderService.inFlight).toBe(0);
});

test("a shutdown gives up on storing: the next start closes the attempt, and who waits for it is refused", async () => {
  const before = timers();
  await using at = new OrderServiceFixture();
  const { answer } = await at.place();
  at.journal.refusals.finish = Number.POSITIVE_INFINITY;
  at.end();
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  const waiting = at.place().catch((error: unknown) => error);
  await settle();
  let isDrained = false;
  const drained = at.orderService.drain().then(() => (isDrained = true));
  await settle();
  // As long as the journal may work again.
  expect([isDrained, at.orderService.inFlight]).toEqual([false, 2]);
  at.orderService.cancelAll("shutdown");
  await drained;
  expect(await waiting).toMatchObject({ kind: "shutting_down" });
  expect(at.journal.finished).toEqual([]);
  expect(at.orderService.inFlight).toBe(0);
  await noTimersBut(before);
});

test("an outcome that the journal will never take does not hold its place for ever", async () => {
  await using at = new OrderServiceFixture();
  const { answer } = await at.place();
  at.journal.finish = () => Promise.reject(new Error("attempt 1 is not open"));
  at.end();
  await expect(answer).rejects.toBeInstanceOf(AnswerLost);
  expect(at.orderService.inFlight).toBe(0);
  expect(at.faults).toEqual([
    "an outcome could not be stored: its client gets no answer",
    "an outcome can never be stored; the next start closes its order",
  ]);
});

test("an order for which the threads have no room fails, is stored as failed and leaves no timer behind", async () => {
  const before = timers();
  await using at = new OrderServiceFixture();
  at.runner.room = 0;
  const { answer } = await at.place();
  expect((await answer).error).toBe("internal");
  expect(at.journal.finished).toMatchObject([{ answer: { error: "internal" }, compensations: [] }]);
  expect(at.faults).toEqual(["an order could not be run to its end"]);
  expect(at.orderService.inFlight).toBe(0);
  await noTimersBut(before);
});
