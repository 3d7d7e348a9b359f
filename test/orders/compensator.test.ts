import { describe, expect, test } from "vitest";
import { FIRST_TRIES, MAX_COMPENSATING, RETRIES } from "../../src/orders/compensation-call.ts";
import type { Compensator, RetriedCompensation } from "../../src/orders/compensator.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { PROBE_BACKOFF } from "../../src/resilience/backoff.ts";
import { answered, CompensatorFixture, inputOf, NO, OK, settle, TIMEOUT_MS } from "./compensator-fixture.ts";
import { FirstTries } from "./first-tries.ts";

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
  expect(at.compensator.plan(STEPS).map(({ trying }) => trying)).toEqual(STEPS.map(() => false));
  for (const step of STEPS) await at.drainRows(step);
  for (const { orderId, step } of at.journal.rows) {
    expect(at.calls(step).filter(({ input }) => input.orderId === orderId)).toHaveLength(1);
  }
});

test("a backlog is tried again 2500 times a second, whatever the providers would take, and they share that", async () => {
  await using at = new CompensatorFixture();
  at.runner.onStart = ({ end }) => void setImmediate(() => end(OK));
  for (const step of STEPS) for (let n = 0; n < 300; n++) at.journal.addRow(step, at.clock.nowMs() - 1, `${step} ${n}`, 1);
  at.compensator.start();
  for (let ms = 0; ms < 200; ms += 20) {
    await settle();
    at.clock.advance(20);
  }
  expect(at.runner.started.length).toBeLessThanOrEqual(500 + 51);
  expect(at.runner.started.length).toBeGreaterThan(400);
});

test("a provider that hangs keeps no other's compensations waiting, however many of its own wait", async () => {
  await using at = new CompensatorFixture();
  at.compensator.start();
  const orders = 3 * FIRST_TRIES;
  for (let n = 0; n < orders; n++) {
    const { tries } = await at.fail(`o-${n}`, ["vendor", "payment"]);
    await at.end("payment", OK);
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
  await at.end("payment", NO);
  await at.failAndTry("new", "payment", OK);
  expect(told).toMatchObject([{ step: "payment", tries: 3, done: false, input: { orderId: "old", traceparent } }]);
  expect(done).toEqual([
    ["payment", false],
    ["payment", true],
  ]);
});

test("a try that the journal refuses for a while is written down later, and the row is not tried beside it", async () => {
  await using at = new CompensatorFixture();
  const row = at.journal.addRow("payment", at.clock.nowMs(), "o", 1);
  at.compensator.start();
  await settle();
  at.journal.refusals.compensationTried = 2;
  await at.end("payment", OK);
  expect([row.status, at.faults]).toEqual(["trying", ["compensations are not written down yet"]]);
  await at.pass(3 * PROBE_BACKOFF.baseMs + 100);
  expect([row.status, row.tries, at.stored]).toEqual(["done", 2, 1]);
  at.clock.advance(TIMEOUT_MS);
  await settle();
  expect(at.calls("payment")).toHaveLength(1);
});

test("an answer for a row that is not being tried any more is reported, and wakes nobody", async () => {
  await using at = new CompensatorFixture();
  const { tries } = await at.fail("o", ["payment"]);
  await at.answer("o", tries);
  const row = at.journal.row("payment", "o");
  row.status = "settled";
  await at.end("payment", OK);
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
    await at.end("payment", OK);
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

describe("a stop of the compensator", () => {
  const positions: Readonly<Record<string, (at: CompensatorFixture) => Promise<unknown>>> = {
    "before the start": () => Promise.resolve(),
    "while first tries are under way": (at) => at.fail("o", STEPS),
    "while first tries are under way whose order has its answer": async (at) => {
      const { tries } = await at.fail("o", STEPS);
      await at.answer("o", tries);
    },
    "while rows wait for room": async (at) => {
      at.compensator.start();
      for (let n = 0; n < 2 * FIRST_TRIES; n++) await at.fail(`o-${n}`, ["vendor"]);
      expect(at.compensator.inFlight).toBe(FIRST_TRIES);
    },
    "while rows are taken": async (at) => {
      const gate = Promise.withResolvers<void>();
      at.journal.gates.takeCompensations = gate.promise;
      at.journal.addRow("vendor", 0);
      at.compensator.start();
      setTimeout(gate.resolve, 5);
    },
    "while rows are tried": async (at) => {
      for (let n = 0; n < 40; n++) at.journal.addRow("payment", 0, `o-${n}`, 1);
      at.compensator.start();
      await settle();
      expect(at.compensator.inFlight).toBe(RETRIES);
    },
    "while a provider is down and a probe waits": async (at) => {
      at.compensator.start();
      await at.takeDown("courier");
    },
    "while the journal refuses": async (at) => {
      at.journal.addRow("payment", 0);
      at.compensator.start();
      await settle();
      at.journal.full = true;
      await at.end("payment", OK);
      expect(at.faults).toEqual(["compensations are not written down yet"]);
    },
  };

  test.each(Object.keys(positions))("%s leaves nothing running, calls nobody later and loses no row", async (position) => {
    await using at = new CompensatorFixture();
    await positions[position]?.(at);
    const open = at.journal.rows.filter(({ status }) => status !== "done");
    await at.compensator.stop();
    expect([at.compensator.inFlight, at.runner.running, at.clock.timers]).toEqual([0, 0, 0]);
    const started = at.runner.started.length;
    at.compensator.notify();
    at.compensator.stored([{ id: 1, step: "payment", nextTryMs: 0 }]);
    at.clock.advance(1_000_000);
    await settle();
    expect(at.runner.started).toHaveLength(started);
    // Pending, or as they were while they were tried: the next start finds both.
    expect(at.journal.rows.filter(({ status }) => status !== "done")).toEqual(open);
    for (const { status } of open) expect(["pending", "trying"]).toContain(status);
  });

  test("waits for a call that ignores its cancel, and stores what came of it", async () => {
    await using at = new CompensatorFixture();
    at.runner.ignoringCancel.add("payment");
    const { tries } = await at.fail("o", ["payment"]);
    await at.answer("o", tries);
    let stopped = false;
    const stopping = at.compensator.stop().then(() => (stopped = true));
    await settle();
    expect([stopped, at.compensator.inFlight]).toEqual([false, 1]);
    at.last("payment").end(OK);
    await stopping;
    expect(at.journal.row("payment", "o")).toMatchObject({ status: "done", tries: 1 });
  });

  test("cuts first tries off: what ended before is stored with the answer that comes after it, the rest stays under way", async () => {
    await using at = new CompensatorFixture();
    const { tries } = await at.fail("o", ["payment", "vendor"]);
    await at.end("payment", NO);
    await at.compensator.stop();
    await tries.ended;
    await at.answer("o", tries);
    expect(at.journal.row("payment", "o")).toMatchObject({ status: "pending", tries: 1 });
    expect(at.journal.row("vendor", "o")).toMatchObject({ status: "trying", tries: 0 });
    expect(at.journal.tried).toEqual([]);
  });

  test("before an order fails: its rows wait for the next start, and nobody is called", async () => {
    await using at = new CompensatorFixture();
    await at.compensator.stop();
    const { rows, tries } = await at.fail("o", STEPS);
    await tries.ended;
    expect(rows).toEqual(STEPS.map((step) => ({ step, trying: false })));
    expect([at.runner.started, at.compensator.inFlight]).toEqual([[], 0]);
    expect(at.journal.rows.map(({ status }) => status)).toEqual(STEPS.map(() => "pending"));
  });

  test("between the plan and its rows: no call is made, and the next start finds the rows", async () => {
    await using at = new CompensatorFixture();
    const plan = at.compensator.plan(STEPS);
    await at.compensator.stop();
    const tries = new FirstTries(at.compensator, inputOf("o"), plan, [1, 2, 3]);
    await tries.ended;
    expect(tries.answer()).toEqual([]);
    expect([at.runner.started, at.compensator.inFlight]).toEqual([[], 0]);
  });
});
