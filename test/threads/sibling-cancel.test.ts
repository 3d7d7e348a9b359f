import { describe, expect, test } from "vitest";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import { Capacity } from "../../src/concurrency/capacity.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { inputFor, Rig } from "./rig.ts";

const CANCELED = { status: "canceled", cause: "sibling_failed", effect: "none" };
const FAILED = { status: "failed", kind: "payment_declined", effect: "none" };
const capacities = () => ({ payment: new Capacity(10), vendor: new Capacity(10), courier: new Capacity(10) });

describe("a step that fails cancels its siblings from its own thread", () => {
  test("on its own thread and on others, waiting and computing: the main thread has no part in it", async () => {
    await using rig = await Rig.start({ threads: 2, cpuThreads: 1 });
    const scope = new CancelScope();
    const run = rig.runtime.open(scope);
    const failing = rig.step(run, rig.act("wait_then_fail"), { name: "payment" });
    const siblings = [
      ...Array.from({ length: 4 }, () => rig.step(run, rig.act("sleep"))),
      rig.step(run, rig.act("compute"), { computes: true, name: "courier" }),
    ];
    for (const { act } of [failing, ...siblings]) await rig.cells.reached(act.runs);
    const bystander = await rig.running("sleep");
    rig.open(failing);
    // From here to the end of the last step this thread does nothing.
    for (const { act } of siblings) rig.cells.block(act.ends);
    expect(await failing.outcome).toEqual(FAILED);
    for (const { outcome } of siblings) expect(await outcome).toEqual(CANCELED);
    expect(scope.cause).toBeUndefined();
    // What comes after the failure never runs, though the scope has not heard of it.
    const late = rig.step(run, rig.act("succeed"));
    expect(await late.outcome).toEqual(CANCELED);
    expect(rig.runsOf(late)).toBe(0);
    run.close();
    expect(rig.cells.read(bystander.act.ends)).toBe(0);
    bystander.scope.cancel("shutdown");
    await bystander.ended;
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });

  test("its slot starts anew for the next run", async () => {
    await using rig = await Rig.start({ threads: 1, maxGroups: 1 });
    for (let n = 0; n < 50; n++) {
      const failing = rig.act("wait_then_fail");
      rig.cells.add(failing.gate);
      expect(await rig.lone(failing, { name: "payment" }).outcome).toEqual(FAILED);
      expect(await rig.lone("succeed").outcome).toEqual({ status: "ok" });
    }
    rig.expectIdle();
  });

  test("work that a step has left behind does not see the cancel of the group that has its slot now", async () => {
    await using rig = await Rig.start({ threads: 1, maxGroups: 1 });
    const [looks, seen] = [rig.cells.take(), rig.cells.take()];
    const leaving = rig.lone(rig.act("leave_work_behind", { stalled: looks, stall: seen }));
    expect(await leaving.outcome).toEqual({ status: "ok" });
    const next = await rig.running("wait_deaf");
    next.scope.cancel("deadline");
    await rig.cells.reached(looks, rig.cells.read(looks) + 3);
    rig.open(next);
    expect(await next.outcome).toEqual({ status: "ok" });
    rig.open(leaving);
    expect(rig.cells.read(seen)).toBe(0);
    rig.expectIdle();
  });

  test.each(["deadline", "client_disconnected", "shutdown"] as const)(
    "%s while its outcome is on its way: the failure was first, for the order and for every step",
    async (cause) => {
      await using rig = await Rig.start({ threads: 2 });
      const scope = new CancelScope();
      const limits = { ...capacities(), courier: new Capacity(1) };
      // The courier waits for its capacity: only this thread can cancel that.
      using _taken = limits.courier.tryAcquire();
      const plan = { payment: rig.act("wait_then_fail"), vendor: rig.act("sleep"), courier: rig.act("succeed") };
      const order = new Pipeline(rig.runtime, limits).run(inputFor(plan), scope);
      await rig.cells.reached(plan.payment.runs);
      await rig.cells.reached(plan.vendor.runs);
      rig.cells.add(plan.payment.gate);
      rig.cells.block(plan.vendor.ends);
      scope.cancel(cause);
      const { error, steps } = await order;
      expect(error).toBe("payment_declined");
      expect(steps.map(({ outcome }) => outcome)).toEqual([FAILED, CANCELED, CANCELED]);
      expect(rig.cells.read(plan.courier.runs)).toBe(0);
      rig.expectIdle();
    },
  );

  test("a cancel from outside that came first stays the cause", async () => {
    await using rig = await Rig.start({ threads: 2 });
    const scope = new CancelScope();
    const plan = { payment: rig.act("wait_deaf_then_fail"), vendor: rig.act("sleep"), courier: rig.act("sleep") };
    const order = new Pipeline(rig.runtime, capacities()).run(inputFor(plan), scope);
    for (const { runs } of Object.values(plan)) await rig.cells.reached(runs);
    scope.cancel("deadline");
    rig.cells.add(plan.payment.gate);
    const { error, steps } = await order;
    expect(error).toBe("timeout");
    const late = { ...CANCELED, cause: "deadline" };
    expect(steps.map(({ outcome }) => outcome)).toEqual([FAILED, late, late]);
    rig.expectIdle();
  });

  test("a thread that dies between its cancel and the wake-up: the siblings hear of it from the main thread", async () => {
    await using rig = await Rig.start({ threads: 2 });
    const run = rig.runtime.open(new CancelScope());
    const dying = rig.step(run, rig.act("wait_then_fail_and_die"), { name: "payment" });
    const sibling = rig.step(run, rig.act("sleep"));
    const beside = rig.step(run, rig.act("sleep"));
    for (const { act } of [dying, sibling, beside]) await rig.cells.reached(act.runs);
    rig.open(dying);
    expect(await sibling.outcome).toEqual(CANCELED);
    // Nobody knows which step of the dead thread had failed.
    for (const { outcome } of [dying, beside]) expect(await outcome).toMatchObject({ status: "lost", effect: "unknown" });
    run.close();
    await rig.allThreadsUp();
    rig.expectIdle();
    expect(rig.reasons()).toEqual(["exit"]);
  });

  test.each([
    { other: "another that fails", script: "wait_deaf_then_fail", late: false, status: "failed" },
    { other: "one that finds itself canceled on its way to a thread", script: "sleep", late: true, status: "canceled" },
  ] as const)("loses its processor before it notifies anybody: $other has a sibling notified", async ({ script, late, status }) => {
    await using rig = await Rig.start({ threads: 3, cancelGraceMs: 600_000 });
    const run = rig.runtime.open(new CancelScope());
    const [stalled, stall] = [rig.cells.take(), rig.cells.take()];
    const first = rig.step(run, rig.act("wait_then_fail_and_stall", { stalled, stall }), { name: "payment" });
    const third = rig.step(run, rig.act("sleep"), { name: "courier" });
    const begin = () => rig.step(run, rig.act(script));
    const early = late ? undefined : begin();
    for (const { act } of [first, third, ...(early === undefined ? [] : [early])]) await rig.cells.reached(act.runs);
    rig.open(first);
    await rig.cells.reached(stalled);
    const second = early ?? begin();
    rig.open(second);
    expect(await third.outcome).toEqual(CANCELED);
    rig.cells.add(stall);
    expect([(await first.outcome).status, (await second.outcome).status]).toEqual(["failed", status]);
    run.close();
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });

  test("that loses its processor before it rings does not keep a sibling from hearing of a failure on the main thread", async () => {
    await using rig = await Rig.start({ threads: 2, cancelGraceMs: 600_000 });
    const scope = new CancelScope();
    const run = rig.runtime.open(scope);
    const [stalled, stall] = [rig.cells.take(), rig.cells.take()];
    const first = rig.step(run, rig.act("wait_then_fail_and_stall", { stalled, stall }), { name: "payment" });
    const second = rig.step(run, rig.act("sleep"));
    for (const { act } of [first, second]) await rig.cells.reached(act.runs);
    rig.open(first);
    await rig.cells.reached(stalled);
    // As where a courier's circuit opens while the order waits for a courier.
    scope.cancel("sibling_failed");
    expect(await second.outcome).toEqual(CANCELED);
    rig.cells.add(stall);
    expect(await first.outcome).toEqual(FAILED);
    run.close();
    rig.expectIdle();
    expect(rig.replacements).toEqual([]);
  });

  test("the same with a deadline that comes before the exit: lost, and the siblings are woken at once", async () => {
    await using rig = await Rig.start({ threads: 2 });
    const scope = new CancelScope();
    const canceled = rig.cells.take();
    const plan = { payment: rig.act("wait_then_fail_and_die", { stalled: canceled }), vendor: rig.act("sleep"), courier: rig.act("sleep") };
    const order = new Pipeline(rig.runtime, capacities()).run(inputFor(plan), scope);
    for (const { runs } of Object.values(plan)) await rig.cells.reached(runs);
    rig.cells.add(plan.payment.gate);
    // Its thread goes away without a word; until this one hears of the exit, the deadline has passed here.
    rig.cells.block(canceled);
    scope.cancel("deadline");
    const { error, steps } = await order;
    expect(error).toBe("internal");
    expect(steps[0]?.outcome).toMatchObject({ status: "lost", effect: "unknown" });
    for (const { outcome } of steps.slice(1)) expect(["lost", "canceled"]).toContain(outcome.status);
    await rig.allThreadsUp();
    rig.expectIdle();
  });
});
