import { describe, expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { Fixture, inputFor } from "./fixture.ts";
import type { ScriptName } from "./script.ts";

const CANCELED = { status: "canceled", cause: "sibling_failed", effect: "none" };
const FAILED = { status: "failed", kind: "payment_declined", effect: "none" };
const capacities = () => perStep(() => new Capacity(10));

/** Two steps of a group: the first has canceled the group on its thread, which stands still there until `stall` is counted up. */
async function stalledFailure(fixture: Fixture, sibling: ScriptName) {
  await fixture.spreadsSteps();
  const scope = new CancelScope();
  const run = fixture.runner.open(scope);
  const [stalled, stall] = [fixture.counters.take(), fixture.counters.take()];
  const first = fixture.step(run, fixture.script("wait_then_fail_and_stall", { stalled, stall }), { name: "payment" });
  const second = fixture.step(run, fixture.script(sibling));
  for (const { script } of [first, second]) await fixture.counters.reached(script.runs);
  fixture.open(first);
  await fixture.counters.reached(stalled);
  return { scope, run, first, second, stall };
}

describe("a step that fails cancels its siblings from its own thread", () => {
  test("on its own thread and on others, waiting and computing: the main thread has no part in it", async () => {
    await using fixture = await Fixture.start({ shared: 2, exclusive: 1 });
    const scope = new CancelScope();
    const run = fixture.runner.open(scope);
    const failing = fixture.step(run, fixture.script("wait_then_fail"), { name: "payment" });
    const siblings = [
      ...Array.from({ length: 4 }, () => fixture.step(run, fixture.script("sleep"))),
      fixture.step(run, fixture.script("compute"), { computes: true, name: "courier" }),
    ];
    for (const { script } of [failing, ...siblings]) await fixture.counters.reached(script.runs);
    const bystander = await fixture.running("sleep");
    fixture.open(failing);
    // From here to the end of the last step this thread does nothing.
    for (const { script } of siblings) fixture.counters.block(script.ends);
    expect(await failing.outcome).toEqual(FAILED);
    for (const { outcome } of siblings) expect(await outcome).toEqual(CANCELED);
    expect(scope.cause).toBeUndefined();
    // What comes after the failure never runs, though the scope has not heard of it.
    const late = fixture.step(run, fixture.script("succeed"));
    expect(await late.outcome).toEqual(CANCELED);
    expect(fixture.runsOf(late)).toBe(0);
    run.close();
    expect(fixture.counters.read(bystander.script.ends)).toBe(0);
    bystander.scope.cancel("shutdown");
    await bystander.ended;
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("its slot starts anew for the next run", async () => {
    await using fixture = await Fixture.start({ shared: 1, maxGroups: 1 });
    for (let n = 0; n < 50; n++) {
      const failing = fixture.script("wait_then_fail");
      fixture.counters.add(failing.gate);
      expect(await fixture.lone(failing, { name: "payment" }).outcome).toEqual(FAILED);
      expect(await fixture.lone("succeed").outcome).toEqual({ status: "ok" });
    }
    fixture.expectIdle();
  });

  test("work that a step has left behind is told that its step has ended, and nothing of the group that has its slot now", async () => {
    await using fixture = await Fixture.start({ shared: 1, maxGroups: 1 });
    const [ended, other] = [fixture.counters.take(), fixture.counters.take()];
    const leaving = fixture.lone(fixture.script("leave_work_behind", { stalled: ended, stall: other }));
    expect(await leaving.outcome).toEqual({ status: "ok" });
    const next = await fixture.running("wait_ignoring_cancel");
    next.scope.cancel("deadline");
    await fixture.counters.reached(ended, fixture.counters.read(ended) + 3);
    fixture.open(next);
    expect(await next.outcome).toEqual({ status: "ok" });
    fixture.open(leaving);
    expect(fixture.counters.read(other)).toBe(0);
    fixture.expectIdle();
  });

  test.each(["deadline", "client_disconnected", "shutdown"] as const)(
    "%s while its outcome is on its way: the failure was first, for the order and for every step",
    async (cause) => {
      await using fixture = await Fixture.start({ shared: 2 });
      const scope = new CancelScope<CancelCause>();
      const limits = { ...capacities(), courier: new Capacity(1) };
      // The courier waits for its capacity: only this thread can cancel that.
      using _taken = limits.courier.tryAcquire();
      const plan = {
        ...perStep(() => fixture.script("sleep")),
        payment: fixture.script("wait_then_fail"),
        courier: fixture.script("succeed"),
      };
      const order = new Pipeline(fixture.runner, limits).run(inputFor(plan), scope);
      for (const [name, { runs }] of Object.entries(plan)) if (name !== "courier") await fixture.counters.reached(runs);
      fixture.counters.add(plan.payment.gate);
      fixture.counters.block(plan.vendor.ends);
      scope.cancel(cause);
      const { error, steps } = await order;
      expect(error).toBe("payment_declined");
      expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((name) => (name === "payment" ? FAILED : CANCELED)));
      expect(fixture.counters.read(plan.courier.runs)).toBe(0);
      fixture.expectIdle();
    },
  );

  test("a cancel from outside that came first stays the cause", async () => {
    await using fixture = await Fixture.start({ shared: 2 });
    const scope = new CancelScope<CancelCause>();
    const plan = { ...perStep(() => fixture.script("sleep")), payment: fixture.script("wait_ignoring_cancel_then_fail") };
    const order = new Pipeline(fixture.runner, capacities()).run(inputFor(plan), scope);
    for (const { runs } of Object.values(plan)) await fixture.counters.reached(runs);
    scope.cancel("deadline");
    fixture.counters.add(plan.payment.gate);
    const { error, steps } = await order;
    expect(error).toBe("timeout");
    const late = { ...CANCELED, cause: "deadline" };
    expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((name) => (name === "payment" ? FAILED : late)));
    fixture.expectIdle();
  });

  test("a thread that dies between its cancel and the wake-up: the siblings hear of it from the main thread", async () => {
    await using fixture = await Fixture.start({ shared: 2 });
    await fixture.spreadsSteps();
    const run = fixture.runner.open(new CancelScope());
    const dying = fixture.step(run, fixture.script("wait_then_fail_and_die"), { name: "payment" });
    const sibling = fixture.step(run, fixture.script("sleep"));
    const beside = fixture.step(run, fixture.script("sleep"));
    for (const { script } of [dying, sibling, beside]) await fixture.counters.reached(script.runs);
    fixture.open(dying);
    expect(await sibling.outcome).toEqual(CANCELED);
    // Nobody knows which step of the dead thread had failed.
    for (const { outcome } of [dying, beside]) expect(await outcome).toMatchObject({ status: "lost", effect: "unknown" });
    run.close();
    await fixture.allThreadsUp();
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["exit"]);
  });

  test.each([
    { other: "another that fails", script: "wait_ignoring_cancel_then_fail", late: false, status: "failed" },
    { other: "one that finds itself canceled on its way to a thread", script: "sleep", late: true, status: "canceled" },
  ] as const)("loses its processor before it notifies anybody: $other has a sibling notified", async ({ script, late, status }) => {
    await using fixture = await Fixture.start({ shared: 3, graceMs: 600_000 });
    await fixture.spreadsSteps();
    const run = fixture.runner.open(new CancelScope());
    const [stalled, stall] = [fixture.counters.take(), fixture.counters.take()];
    const first = fixture.step(run, fixture.script("wait_then_fail_and_stall", { stalled, stall }), { name: "payment" });
    const third = fixture.step(run, fixture.script("sleep"), { name: "courier" });
    const begin = () => fixture.step(run, fixture.script(script));
    const early = late ? undefined : begin();
    for (const { script } of [first, third, ...(early === undefined ? [] : [early])]) await fixture.counters.reached(script.runs);
    fixture.open(first);
    await fixture.counters.reached(stalled);
    const second = early ?? begin();
    fixture.open(second);
    expect(await third.outcome).toEqual(CANCELED);
    fixture.counters.add(stall);
    expect([(await first.outcome).status, (await second.outcome).status]).toEqual(["failed", status]);
    run.close();
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("that loses its processor before it rings does not keep a sibling from hearing of a failure on the main thread", async () => {
    await using fixture = await Fixture.start({ shared: 2, graceMs: 600_000 });
    const { scope, run, first, second, stall } = await stalledFailure(fixture, "sleep");
    // As where a courier's circuit opens while the order waits for a courier.
    scope.cancel("sibling_failed");
    expect(await second.outcome).toEqual(CANCELED);
    fixture.counters.add(stall);
    expect(await first.outcome).toEqual(FAILED);
    run.close();
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("the same with a deadline that comes before the exit: lost, and the siblings are woken at once", async () => {
    await using fixture = await Fixture.start({ shared: 2 });
    const scope = new CancelScope<CancelCause>();
    const canceled = fixture.counters.take();
    const plan = {
      ...perStep(() => fixture.script("sleep")),
      payment: fixture.script("wait_then_fail_and_die", { stalled: canceled }),
    };
    const order = new Pipeline(fixture.runner, capacities()).run(inputFor(plan), scope);
    for (const { runs } of Object.values(plan)) await fixture.counters.reached(runs);
    fixture.counters.add(plan.payment.gate);
    // Its thread goes away without a word; until this one hears of the exit, the deadline has passed here.
    fixture.counters.block(canceled);
    scope.cancel("deadline");
    const { error, steps } = await order;
    expect(error).toBe("internal");
    expect(steps[0]?.outcome).toMatchObject({ status: "lost", effect: "unknown" });
    for (const { outcome } of steps.slice(1)) expect(["lost", "canceled"]).toContain(outcome.status);
    await fixture.allThreadsUp();
    fixture.expectIdle();
  });

  test("whose outcome came after a cancel: a sibling whose thread dies then is canceled, not lost", async () => {
    await using fixture = await Fixture.start({ shared: 2, graceMs: 600_000 });
    const { scope, run, first, second, stall } = await stalledFailure(fixture, "ignore_cancel");
    scope.cancel("deadline");
    expect(scope.cause).toBe("sibling_failed");
    fixture.counters.add(stall);
    expect(await first.outcome).toEqual(FAILED);
    // The only thread with a step on it.
    fixture.threads.killThread();
    expect(await second.outcome).toEqual({ ...CANCELED, effect: "unknown" });
    run.close();
    await fixture.allThreadsUp();
    fixture.expectIdle();
  });
});
