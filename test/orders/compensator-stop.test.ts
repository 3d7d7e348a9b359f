import { describe, expect, test } from "vitest";
import { FIRST_TRIES, RETRIES } from "../../src/orders/compensation-call.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { CompensatorFixture, inputOf, NO, OK, settle } from "./compensator-fixture.ts";

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
      at.last("payment").end(OK);
      await settle();
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
    at.last("payment").end(NO);
    await settle();
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
    const tries = at.compensator.begin(inputOf("o"), plan, [1, 2, 3]);
    await tries.ended;
    expect(tries.collect()).toEqual([]);
    // The scope of each was canceled before it came to the runner, which is what keeps the threads from calling.
    expect([at.runner.running, at.compensator.inFlight]).toEqual([0, 0]);
  });
});
