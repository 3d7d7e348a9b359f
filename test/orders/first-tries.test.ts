import { describe, expect, test, vi } from "vitest";
import { FIRST_TRIES } from "../../src/orders/compensation-call.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { answered, CompensatorFixture, inputOf, NO, OK, settle } from "./compensator-fixture.ts";
import { FirstTries } from "./first-tries.ts";

describe("the first tries of an order", () => {
  test("have their place before the rows are stored and begin when they are, side by side", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    const plan = at.compensator.plan(STEPS);
    expect(plan).toEqual(STEPS.map((step) => ({ step, trying: true })));
    await settle();
    // Not before the rows are durable.
    expect([at.runner.started, at.compensator.inFlight]).toEqual([[], 0]);
    const first = new FirstTries(at.compensator, { ...inputOf("o"), traceparent: "00-1-2-01" }, plan, [1, 2, 3]);
    expect(at.runner.started.map(({ spec }) => spec)).toEqual(
      STEPS.map((name) => ({ name, action: "compensate", computes: false, retryable: true })),
    );
    // In the order's own trace.
    expect(at.runner.started.map(({ input }) => input)).toEqual(STEPS.map(() => ({ ...inputOf("o"), traceparent: "00-1-2-01" })));
    at.runner.endAll(OK);
    await first.ended;
    expect(first.answer()).toEqual(STEPS.map((step, index) => ({ id: index + 1, step })));
    expect([at.compensator.inFlight, at.journal.commits]).toEqual([0, []]);
  });

  test("of rows that could not be stored give their places back and are not made", async () => {
    await using at = new CompensatorFixture();
    for (let n = 0; n < 3; n++) {
      const plans = Array.from({ length: FIRST_TRIES }, () => at.compensator.plan(["vendor"]));
      expect(plans.every(([row]) => row?.trying)).toBe(true);
      expect(at.compensator.plan(["vendor"])).toEqual([{ step: "vendor", trying: false }]);
      for (const plan of plans) at.compensator.release(plan);
    }
    // A plan without a call gives nothing back.
    at.compensator.release([{ step: "vendor", trying: false }]);
    await settle();
    expect([at.compensator.inFlight, at.runner.started, at.changes]).toEqual([0, [], []]);
  });

  test("of rows that could not be stored leave their places to rows that wait for one", async () => {
    await using at = new CompensatorFixture();
    const plans = Array.from({ length: FIRST_TRIES }, () => at.compensator.plan(["vendor"]));
    at.journal.addRow("vendor", at.clock.nowMs(), "waits");
    at.compensator.start();
    await settle();
    expect(at.calls("vendor")).toEqual([]);
    for (const plan of plans) at.compensator.release(plan);
    await settle();
    expect(at.last("vendor").input.orderId).toBe("waits");
    await at.end("vendor", OK);
  });

  test("that failed are made again after a pause that grows, with what the provider said on the row", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    await at.failAndTry("o", "payment", NO);
    const row = at.journal.row("payment", "o");
    expect(row.lastAnswer).toBe("HTTP 500");
    for (const [tried, pauseMs] of [
      [1, 200],
      [2, 400],
      [3, 800],
    ] as const) {
      expect(row).toMatchObject({ status: "pending", tries: tried, nextTryMs: at.clock.nowMs() + pauseMs });
      at.clock.advance(pauseMs - 1);
      await settle();
      expect(at.calls("payment")).toHaveLength(tried);
      at.clock.advance(100);
      await settle();
      expect([at.calls("payment").length, row.status]).toEqual([tried + 1, "trying"]);
      await at.end("payment", tried === 3 ? OK : NO);
    }
    expect(row).toMatchObject({ status: "done", tries: 4 });
  });

  test("that go on when the answer is stored are stored one by one when they end, and the event's reader is told", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    const { tries } = await at.fail("o", ["payment", "vendor"]);
    await at.end("payment", OK);
    await at.answer("o", tries);
    expect(at.journal.answered[0]?.tried).toEqual([{ id: 1, step: "payment" }]);
    expect(at.journal.row("vendor", "o")).toMatchObject({ status: "trying", tries: 0 });
    // Nobody takes a row that is being tried.
    await at.pass(5_000);
    expect([at.calls("vendor").length, at.compensator.inFlight, at.stored]).toEqual([1, 1, 0]);
    at.last("vendor").end(OK);
    await tries.ended;
    expect(at.journal.tried).toEqual([{ id: 2, step: "vendor" }]);
    expect([at.journal.row("vendor", "o").status, at.stored, at.compensator.inFlight]).toEqual(["done", 1, 0]);
  });

  test("for which there is no room now are rows that wait, and are made as soon as there is some", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    // Each queue sees that nothing is due, and asks no more.
    await at.pass(1_000);
    const full = await Promise.all(Array.from({ length: FIRST_TRIES }, (_, n) => at.fail(`o-${n}`, ["vendor"])));
    const late = await at.fail("late", ["payment", "vendor"]);
    expect(late.rows).toEqual([
      { step: "payment", trying: true },
      { step: "vendor", trying: false },
    ]);
    await at.pass(1_000);
    expect(at.journal.row("vendor", "late")).toMatchObject({ status: "pending", tries: 0 });
    expect([at.calls("vendor").length, at.calls("payment").length]).toEqual([FIRST_TRIES, 1]);
    // Nobody waits for what has not begun.
    at.last("payment").end(OK);
    await late.tries.ended;
    at.calls("vendor")[0]?.end(OK);
    await settle();
    await at.pass(100);
    expect(at.last("vendor").input.orderId).toBe("late");
    await at.end("vendor", OK);
    expect(at.journal.row("vendor", "late")).toMatchObject({ status: "done", tries: 1 });
    for (const step of at.calls("vendor")) step.end(OK);
    await Promise.all(full.map(({ tries }) => tries.ended));
    // Each row was tried once.
    expect(at.calls("vendor")).toHaveLength(FIRST_TRIES + 1);
  });

  test("that hang leave rows that were never tried their share of the calls", async () => {
    await using at = new CompensatorFixture();
    const half = FIRST_TRIES / 2;
    await Promise.all(Array.from({ length: half }, (_, n) => at.fail(`now ${n}`, ["vendor"])));
    for (let n = 0; n < FIRST_TRIES; n++) at.journal.addRow("vendor", at.clock.nowMs() - 1, `old ${n}`);
    at.compensator.start();
    await at.pass(1_000);
    const { length: old } = at.calls("vendor").filter(({ input }) => input.orderId.startsWith("old"));
    expect([at.calls("vendor").length, old]).toEqual([FIRST_TRIES, half]);
  });

  test("have a deadline of their own", async () => {
    await using at = new CompensatorFixture({ timeoutMs: 20 });
    const { tries } = await at.fail("o", ["vendor"]);
    await tries.ended;
    expect(tries.answer()).toEqual([{ id: 1, step: "vendor", nextTryMs: at.clock.nowMs() + 200, lastAnswer: "no answer in 20 ms" }]);
  });

  test("keep the Retry-After of their own answer where it is longer than the pause, up to a minute", async () => {
    await using at = new CompensatorFixture();
    for (const [orderId, askedMs, pauseMs] of [
      ["short", 50, 200],
      // As a step of its own work may say. The journal keeps whole milliseconds, and refuses any other.
      ["long", 6_999.5, 7_000],
    ] as const) {
      await at.failAndTry(orderId, "vendor", answered(429, askedMs));
      expect(at.journal.row("vendor", orderId).nextTryMs).toBe(at.clock.nowMs() + pauseMs);
    }
    await at.failAndTry("well", "vendor", OK);
    await at.failAndTry("next year", "vendor", answered(503, 31_536_000_000));
    expect(at.journal.row("vendor", "next year").nextTryMs).toBe(at.clock.nowMs() + 60_000);
  });

  test("leave nothing with the compensator, which outlives them", async () => {
    const link = vi.spyOn(CancelScope.prototype, "link");
    await using at = new CompensatorFixture();
    const { tries } = await at.fail("o", STEPS);
    const parents = link.mock.calls.map(([parent]) => parent as CancelScope);
    expect(parents.map(({ listenerCount }) => listenerCount)).toEqual(STEPS.map(() => STEPS.length));
    at.runner.endAll(OK);
    await tries.ended;
    expect(parents.map(({ listenerCount }) => listenerCount)).toEqual(STEPS.map(() => 0));
    link.mockRestore();
  });
});
