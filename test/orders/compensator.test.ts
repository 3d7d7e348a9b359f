import { describe, expect, test } from "vitest";
import { FIRST_TRIES, MAX_COMPENSATING, RETRIES } from "../../src/orders/compensation-call.ts";
import type { Compensator, RetriedCompensation } from "../../src/orders/compensator.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { PROBE_BACKOFF } from "../../src/resilience/backoff.ts";
import { answered, CompensatorFixture, NO, OK, settle, TIMEOUT_MS } from "./compensator-fixture.ts";

test("rows: 32 that failed before and 32 that never were tried at one time for a provider, beside 32 of orders that fail now", async () => {
  await using at = new CompensatorFixture();
  for (const step of STEPS) {
    for (let n = 0; n < 200; n++) at.journal.addRow(step, at.clock.nowMs() - 1, `new ${n}`);
    for (let n = 0; n < 200; n++) at.journal.addRow(step, at.clock.nowMs() - 1, `old ${n}`, 3);
  }
  at.compensator.start();
  let most = 0;
  for (let n = 0; n < 50; n++) {
    await at.pass(50);
    most = Math.max(most, at.compensator.inFlight);
  }
  const ofQueue = FIRST_TRIES / 2;
  for (const step of STEPS) {
    const kinds = ["new", "old"].map((kind) => at.calls(step).filter(({ input }) => input.orderId.startsWith(kind)).length);
    expect([step, ...kinds]).toEqual([step, ofQueue, RETRIES]);
  }
  expect(most).toBe(STEPS.length * (ofQueue + RETRIES));
  // A backlog that hangs keeps no order that fails now waiting; and the runner needs room for no more.
  for (let n = 0; n < FIRST_TRIES - ofQueue; n++) {
    const { rows, tries } = await at.fail(`now ${n}`, STEPS);
    expect(rows.map(({ trying }) => trying)).toEqual(STEPS.map(() => true));
    await at.answer(`now ${n}`, tries);
  }
  expect([at.compensator.inFlight, at.runner.opened - at.runner.closed]).toEqual([MAX_COMPENSATING, MAX_COMPENSATING]);
  expect(at.compensator.plan(STEPS).rows.map(({ trying }) => trying)).toEqual(STEPS.map(() => false));
  for (const step of STEPS) await at.drainRows(step);
  for (const { orderId, step } of at.journal.rows) {
    expect(at.calls(step).filter(({ input }) => input.orderId === orderId)).toHaveLength(1);
  }
});

test("a provider that hangs keeps no other's compensations waiting, however many of its own wait", async () => {
  await using at = new CompensatorFixture();
  at.compensator.start();
  const orders = 3 * FIRST_TRIES;
  for (let n = 0; n < orders; n++) {
    const { tries } = await at.fail(`o-${n}`, ["vendor", "payment"]);
    at.last("payment").end(OK);
    await settle();
    await at.answer(`o-${n}`, tries);
  }
  expect(at.journal.rows.filter(({ step, status }) => step === "payment" && status === "done")).toHaveLength(orders);
  expect(at.calls("vendor")).toHaveLength(FIRST_TRIES);
  expect(at.journal.rows.filter(({ step, status }) => step === "vendor" && status === "pending")).toHaveLength(orders - FIRST_TRIES);
  await at.drainRows("vendor");
});

test("a try that no order waits for is told of, with a trace of its own", async () => {
  const told: RetriedCompensation[] = [];
  const done: unknown[] = [];
  await using at = new CompensatorFixture({
    onRetried: (retry) => void told.push(retry),
    onTried: (step, isDone) => void done.push([step, isDone]),
  });
  at.journal.addRow("payment", 0, "old", 3);
  at.compensator.start();
  await settle();
  // The order's own trace ended long ago.
  const { traceparent } = at.last("payment").input;
  expect(traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  at.last("payment").end(NO);
  await settle();
  await at.failAndTry("new", "payment", OK);
  expect(told).toMatchObject([{ step: "payment", tries: 3, done: false, input: { orderId: "old", traceparent } }]);
  expect(done).toEqual([
    ["payment", false],
    ["payment", true],
  ]);
});

describe("a journal that refuses for a while", () => {
  test("when a row has been tried: written down later, the row not tried beside it", async () => {
    await using at = new CompensatorFixture();
    const row = at.journal.addRow("payment", at.clock.nowMs(), "o", 1);
    at.compensator.start();
    await settle();
    at.journal.refusals.compensationTried = 2;
    at.last("payment").end(OK);
    await settle();
    expect([row.status, at.faults]).toEqual(["trying", ["compensations are not written down yet"]]);
    await at.pass(3 * PROBE_BACKOFF.baseMs + 100);
    expect([row.status, row.tries, at.stored]).toEqual(["done", 2, 1]);
    at.clock.advance(TIMEOUT_MS);
    await settle();
    expect(at.calls("payment")).toHaveLength(1);
  });

  test("when a first try has ended after the answer: the same, and a stop does not wait for it", async () => {
    await using at = new CompensatorFixture();
    const { tries } = await at.fail("o", ["payment"]);
    await at.answer("o", tries);
    at.journal.full = true;
    at.last("payment").end(OK);
    await settle();
    expect(at.faults).toEqual(["compensations are not written down yet"]);
    await at.compensator.stop();
    // Not lost: the next start tries it again, which is harmless.
    expect(at.journal.row("payment", "o")).toMatchObject({ status: "trying", tries: 0 });
  });

  test("when rows are due: they are asked for again, and none is tried that was not taken", async () => {
    await using at = new CompensatorFixture();
    at.journal.addRow("payment", at.clock.nowMs());
    at.journal.refusals.takeCompensations = 20;
    at.compensator.start();
    await at.pass(PROBE_BACKOFF.baseMs - 1);
    expect([at.runner.started, at.faults[0]]).toEqual([[], "what is due cannot be read: it will be read again"]);
    at.journal.refusals.takeCompensations = 0;
    at.clock.advance(PROBE_BACKOFF.capMs);
    await settle();
    expect(at.calls("payment")).toHaveLength(1);
    await at.drainRows("payment");
  });
});

test("an answer for a row that is not being tried any more is reported, and wakes nobody", async () => {
  await using at = new CompensatorFixture();
  const { tries } = await at.fail("o", ["payment"]);
  await at.answer("o", tries);
  const row = at.journal.row("payment", "o");
  row.status = "settled";
  at.last("payment").end(OK);
  await settle();
  expect(at.faults).toEqual(["a provider answered for a compensation that is settled"]);
  expect([row.status, row.tries, at.stored]).toEqual(["settled", 0, 0]);
});

describe("an operator's try", () => {
  const tryOf = (at: CompensatorFixture, row: Parameters<typeof at.journal.take>[0]): ReturnType<Compensator["tryNow"]> =>
    at.compensator.tryNow(at.journal.take(row));

  test("goes at once, whatever is known of the provider, and ends when its result is stored", async () => {
    await using at = new CompensatorFixture();
    await at.takeDown("payment");
    const row = at.journal.addRow("payment", at.clock.nowMs() + 1_000_000, "o", 9);
    const before = at.calls("payment").length;
    const gate = Promise.withResolvers<void>();
    at.journal.gates.compensationTried = gate.promise;
    let ended = false;
    const trying = tryOf(at, row).then(() => (ended = true));
    expect(at.calls("payment")).toHaveLength(before + 1);
    at.last("payment").end(OK);
    await settle();
    expect([ended, row.status]).toEqual([false, "trying"]);
    gate.resolve();
    await trying;
    expect(row).toMatchObject({ status: "done", tries: 10 });
    expect(at.changes).toEqual(["payment down", "payment up"]);
  });

  test("that fails leaves a row that is due again some time", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    const row = at.journal.addRow("payment", at.clock.nowMs() + 1_000_000);
    const trying = tryOf(at, row);
    at.last("payment").end(answered(404));
    await trying;
    expect(row).toMatchObject({ status: "pending", tries: 1, nextTryMs: at.clock.nowMs() + 200, lastAnswer: "HTTP 404" });
    await at.pass(300);
    expect(at.calls("payment")).toHaveLength(2);
    await at.drainRows("payment");
  });

  test("after a stop is refused", async () => {
    await using at = new CompensatorFixture();
    await at.compensator.stop();
    await expect(tryOf(at, at.journal.addRow("vendor", 0))).rejects.toThrow();
    expect(at.runner.started).toEqual([]);
  });
});
