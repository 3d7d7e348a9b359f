import { setImmediate as drainMicrotasks } from "node:timers/promises";
import { expect, test } from "vitest";
import { Demand } from "../../src/admission/fair-shares.ts";
import { Line } from "../../src/admission/line.ts";
import { CourierCalls } from "../../src/couriers/courier-share.ts";
import { SharedCapacity } from "../../src/couriers/shared-capacity.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { EndedStep } from "../../src/orders/step.ts";
import type { StepSpec } from "../../src/orders/step-runner.ts";
import { CancelScope, type Permit } from "../../src/threads/index.ts";

/** Permits that were granted to waiters, in the order of their grants. */
function askers(capacity: SharedCapacity, count: number): Permit[] {
  const granted: Permit[] = [];
  for (let asked = 0; asked < count; asked++) void capacity.acquire().then((permit) => granted.push(permit));
  return granted;
}

test("grants none at first, and admission expects all", async () => {
  const capacity = new SharedCapacity(5);
  expect(capacity.tryAcquire()).toBeUndefined();
  const granted = askers(capacity, 1);
  await drainMicrotasks();
  expect([granted.length, capacity.inUse, capacity.waiting, capacity.limit]).toEqual([0, 0, 1, 5]);
});

test("waiters get what it is given at once, and no more", async () => {
  const capacity = new SharedCapacity(5);
  const granted = askers(capacity, 3);
  capacity.share(2, 4);
  await drainMicrotasks();
  expect([granted.length, capacity.inUse, capacity.waiting, capacity.limit]).toEqual([2, 2, 1, 4]);
  capacity.share(9, 4);
  await drainMicrotasks();
  expect([granted.length, capacity.inUse, capacity.waiting]).toEqual([3, 3, 0]);
  for (const permit of granted) permit.release();
  expect(capacity.inUse).toBe(0);
});

test("what is taken away comes back from its holders and is granted to nobody", async () => {
  const capacity = new SharedCapacity(5);
  capacity.share(3, 3);
  const held = askers(capacity, 3);
  const waiters = askers(capacity, 2);
  await drainMicrotasks();
  capacity.share(1, 1);
  held[0]?.release();
  held[1]?.release();
  await drainMicrotasks();
  expect([waiters.length, capacity.inUse, capacity.waiting]).toEqual([0, 1, 2]);
  held[2]?.release();
  await drainMicrotasks();
  expect([waiters.length, capacity.inUse, capacity.waiting]).toEqual([1, 1, 1]);
});

test("a grant that meets a cancel while the limit falls goes to nobody", async () => {
  const capacity = new SharedCapacity(5);
  capacity.share(1, 1);
  const [first] = [capacity.tryAcquire()];
  const scope = new CancelScope();
  const canceled = capacity.acquire(scope);
  canceled.catch(() => {});
  const waiters = askers(capacity, 1);
  first?.release();
  scope.cancel("deadline");
  capacity.share(0, 0);
  await expect(canceled).rejects.toThrow();
  expect([waiters.length, capacity.inUse, capacity.waiting]).toEqual([0, 0, 1]);
});

test("admission forecasts by the share of the moment", () => {
  let nowMs = 0;
  const clock = () => nowMs;
  const capacity = new SharedCapacity(4, { nowMs: clock });
  capacity.holdTime().add(100);
  const line = new Line(capacity, new Demand(2_000), 2_000, clock);
  const room = () => {
    nowMs += 10;
    return line.room(1);
  };
  // Each at once, and again every 100 ms for 1.44 s.
  expect(room()).toBe(4 * 15);
  capacity.share(2, 2);
  expect(room()).toBe(2 * 15);
  // None of its own: it gets one when it asks.
  capacity.share(0, 1);
  expect(room()).toBe(15);
});

test("a share of none says nothing to admission: whoever asks for some will get some", () => {
  const capacity = new SharedCapacity(5);
  capacity.share(2, 2);
  capacity.share(0, 0);
  expect(capacity.limit).toBe(2);
});

test("tells when the first waiter comes, and how long it has waited, whatever its priority", () => {
  let nowMs = 1_000;
  let told = 0;
  const capacity = new SharedCapacity(5, { nowMs: () => nowMs });
  capacity.onWait = () => told++;
  expect(capacity.nextHasWaitedMs).toBe(0);
  void capacity.acquire(undefined, 2);
  nowMs += 100;
  void capacity.acquire(undefined, 2);
  expect([told, capacity.nextHasWaitedMs]).toEqual([1, 100]);
});

test("tells the most that were in use at one time, once", () => {
  const capacity = new SharedCapacity(5);
  capacity.share(3, 3);
  const permits = [capacity.tryAcquire(), capacity.tryAcquire()];
  permits[0]?.release();
  expect([capacity.takeMostInUse(), capacity.takeMostInUse()]).toEqual([2, 1]);
  permits[1]?.release();
  expect([capacity.takeMostInUse(), capacity.takeMostInUse()]).toEqual([0, 0]);
});

test("counts those that had to wait for a share among them", async () => {
  const capacity = new SharedCapacity(5);
  const granted = askers(capacity, 3);
  capacity.share(2, 2);
  await drainMicrotasks();
  for (const permit of granted.splice(0)) permit.release();
  await drainMicrotasks();
  granted[0]?.release();
  expect([capacity.inUse, capacity.takeMostInUse(), capacity.takeMostInUse()]).toEqual([0, 2, 0]);
});

const INPUT = { orderId: "order", attempt: 1, amount: 1 };
const spec = (name: string, action: StepSpec["action"]): StepSpec => ({ name, action, computes: false, retryable: false });
const COURIER = spec("courier", "perform");

/** Calls of which each goes on until its test ends it. */
function begin(held: number) {
  const gates: (() => void)[] = [];
  const calls = new CourierCalls(
    {
      open: () => ({
        run: async () => {
          const { promise, resolve } = Promise.withResolvers<void>();
          gates.push(resolve);
          await promise;
          return { outcome: { status: "ok" }, endedAtMs: 0 } satisfies EndedStep;
        },
        close: () => {},
      }),
    },
    () => held,
  );
  const run = (step: StepSpec) => {
    const scope = new CancelScope<CancelCause>();
    return { scope, ended: calls.open(scope).run(step, INPUT) };
  };
  return { calls, gates, run };
}

test("no more courier calls are under way than couriers are held: the order of a further one ends", async () => {
  const { gates, run } = begin(1);
  const [first, second] = [run(COURIER), run(COURIER)];
  expect([first.scope.cause, second.scope.cause]).toEqual([undefined, "deadline"]);
  for (const end of gates) end();
  await Promise.all([first.ended, second.ended]);
  expect(run(COURIER).scope.cause).toBeUndefined();
});

test("those under way are cut off, and those that have ended are left alone", async () => {
  const { calls, gates, run } = begin(2);
  const [ended, underWay] = [run(COURIER), run(COURIER)];
  gates[0]?.();
  await ended.ended;
  calls.cutOff();
  expect([ended.scope.cause, underWay.scope.cause]).toEqual([undefined, "deadline"]);
});

test("other steps and compensations need no courier", () => {
  const { calls, run } = begin(0);
  const others = [run(spec("payment", "perform")), run(spec("courier", "compensate"))];
  calls.cutOff();
  expect(others.map(({ scope }) => scope.cause)).toEqual([undefined, undefined]);
});
