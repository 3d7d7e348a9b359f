import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { type AnswerBody, answerTo } from "../../src/orders/answer.ts";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import { errorOf } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, Capacity, monotonicMs } from "../../src/threads/index.ts";
import { FakeRunner } from "./fake-runner.ts";

const OK: StepOutcome = { status: "ok" };
const failed = (kind: StepErrorKind, effect: "none" | "unknown" = "none"): StepOutcome => ({ status: "failed", kind, effect });
const canceled = (cause: CancelCause, effect: "none" | "unknown" = "unknown"): StepOutcome => ({ status: "canceled", cause, effect });
const LOST: StepOutcome = { status: "lost", reason: "thread ended: exit", effect: "unknown" };
const INPUT: AttemptInput = { orderId: "o-1", amount: 1200, attempt: 1 };

let runner: FakeRunner;
let capacities: Record<StepName, Capacity>;
let pipeline: Pipeline;
let scope: CancelScope<CancelCause>;

beforeEach(() => {
  runner = new FakeRunner();
  capacities = { ...perStep(() => new Capacity(10)), courier: new Capacity(1) };
  pipeline = new Pipeline(runner, capacities);
  scope = new CancelScope();
});

/** Nothing of an order is left: no step, no permit, no listener, no open run. */
function expectNothingLeft(): void {
  expect(runner.running).toBe(0);
  expect([runner.opened, runner.closed]).toEqual([1, 1]);
  expect(scope.listenerCount).toBe(0);
  for (const capacity of Object.values(capacities)) expect([capacity.inUse, capacity.waiting]).toEqual([0, 0]);
}

/** What every step ends with: `others`, but for those that are named. */
const outcomesOf = (others: StepOutcome, named: Partial<Record<StepName, StepOutcome>>) => STEPS.map((step) => named[step] ?? others);

const BESIDE_COURIER = STEPS.filter((step) => step !== "courier");

describe("an order whose steps all end ok", () => {
  test("is placed; the steps ran side by side, each with one permit, in the answer's order", async () => {
    const order = pipeline.run(INPUT, scope);
    expect(runner.names()).toEqual(STEPS);
    expect(Object.values(capacities).map(({ inUse }) => inUse)).toEqual(STEPS.map(() => 1));
    expect(scope.listenerCount).toBe(1);
    for (const name of STEPS.toReversed()) runner.step(name).end(OK);
    const result = await order;
    expect(result).not.toHaveProperty("error");
    expect(result.steps.map(({ name }) => name)).toEqual(STEPS);
    expect(result.steps.every(({ durationMs }) => Number.isInteger(durationMs) && durationMs >= 0)).toBe(true);
    expectNothingLeft();
  });

  test("hands the runner the order's input and says which steps compute", async () => {
    const input: AttemptInput = { ...INPUT, simulation: { cpuMs: { vendor: 3, courier: 0 } } };
    const order = pipeline.run(input, scope);
    expect(runner.started.map(({ spec }) => spec)).toEqual(
      STEPS.map((name) => ({ name, action: "perform", computes: name === "vendor", retryable: false })),
    );
    // The same object: no step keeps a copy of its own.
    expect(runner.started.every((step) => step.input === input)).toBe(true);
    runner.endAll();
    await order;
  });

  test("lasts as long as its slowest step", async () => {
    let ended = false;
    const order = pipeline.run(INPUT, scope).finally(() => (ended = true));
    for (const name of BESIDE_COURIER) runner.step(name).end(OK);
    await turn();
    expect(ended).toBe(false);
    expect(runner.closed).toBe(0);
    expect(Object.values(capacities).map(({ inUse }) => inUse)).toEqual(STEPS.map((name) => (name === "courier" ? 1 : 0)));
    runner.step("courier").end(OK);
    await order;
    expectNothingLeft();
  });

  test.each(CANCEL_CAUSES)("stays placed when %s comes too late to stop any", async (cause) => {
    for (const name of STEPS) runner.ignoringCancel.add(name);
    const order = pipeline.run(INPUT, scope);
    runner.step("payment").end(OK);
    scope.cancel(cause);
    runner.endAll();
    expect(await order).not.toHaveProperty("error");
    expectNothingLeft();
  });
});

describe("the first failure decides", () => {
  test.each<[StepName, StepErrorKind]>([
    ["payment", "payment_declined"],
    ["payment", "payment_unavailable"],
    ["vendor", "vendor_unavailable"],
    ["courier", "no_courier"],
    ["courier", "internal"],
  ])("%s fails as %s: the order does, and its siblings are canceled", async (name, kind) => {
    const order = pipeline.run(INPUT, scope);
    runner.step(name).end(failed(kind));
    const { error, steps } = await order;
    expect(error).toBe(kind);
    for (const step of steps) expect(step.outcome).toEqual(step.name === name ? failed(kind) : canceled("sibling_failed"));
    // The order's own scope is not the group's: what happens inside does not reach out.
    expect(scope.cause).toBeUndefined();
    expectNothingLeft();
  });

  test("neither a later failure, even of a step that stands first in the answer, nor a cancel from outside changes it", async () => {
    for (const name of STEPS) runner.ignoringCancel.add(name);
    const order = pipeline.run(INPUT, scope);
    runner.step("courier").end(failed("no_courier"));
    await turn();
    runner.step("payment").end(failed("payment_declined"));
    scope.cancel("deadline");
    runner.endAll(failed("vendor_unavailable"));
    expect((await order).error).toBe("no_courier");
    expectNothingLeft();
  });

  test("the earliest on the threads' clock, though another one was heard of before", async () => {
    for (const name of STEPS) runner.ignoringCancel.add(name);
    const order = pipeline.run(INPUT, scope);
    const nowMs = monotonicMs();
    runner.step("vendor").end(failed("vendor_unavailable"), nowMs);
    await turn();
    runner.step("payment").end(failed("payment_declined"), nowMs - 1);
    runner.endAll();
    expect((await order).error).toBe("payment_declined");
    expectNothingLeft();
  });

  test("a step that ended ok before it stays ok, and so is one that ends ok after it: a cancel is not retroactive", async () => {
    runner.ignoringCancel.add("courier");
    const order = pipeline.run(INPUT, scope);
    runner.step("vendor").end(OK);
    await turn();
    runner.step("payment").end(failed("payment_declined"));
    await turn();
    expect(capacities.courier.inUse).toBe(1);
    runner.step("courier").end(OK);
    const named = { payment: failed("payment_declined"), vendor: OK, courier: OK };
    expect((await order).steps.map(({ outcome }) => outcome)).toEqual(outcomesOf(canceled("sibling_failed"), named));
    expectNothingLeft();
  });

  test("a lost step is a failure of kind internal", async () => {
    const order = pipeline.run(INPUT, scope);
    runner.step("courier").end(LOST);
    const { error, steps } = await order;
    expect(error).toBe("internal");
    expect(steps.map(({ outcome }) => outcome)).toEqual(outcomesOf(canceled("sibling_failed"), { courier: LOST }));
    expectNothingLeft();
  });

  test("a runner that breaks its promise and rejects is a lost step, not a rejected order", async () => {
    const order = pipeline.run(INPUT, scope);
    runner.step("vendor").break(new Error("bug"));
    const { error, steps } = await order;
    expect(error).toBe("internal");
    expect(steps.find(({ name }) => name === "vendor")?.outcome).toEqual({ status: "lost", reason: "Error: bug", effect: "unknown" });
    expectNothingLeft();
  });
});

describe("a cancel from outside", () => {
  test.each<[CancelCause, string]>([
    ["deadline", "timeout"],
    ["client_disconnected", "canceled"],
    ["shutdown", "canceled"],
  ])("%s ends the order as %s", async (cause, kind) => {
    const order = pipeline.run(INPUT, scope);
    runner.step("payment").end(OK);
    await turn();
    scope.cancel(cause);
    const { error, steps } = await order;
    expect(error).toBe(kind);
    expect(steps.map(({ outcome }) => outcome)).toEqual(outcomesOf(canceled(cause), { payment: OK }));
    expectNothingLeft();
  });

  test("counts as the first failure: a step that fails while it stops does not change the kind", async () => {
    runner.ignoringCancel.add("vendor");
    const order = pipeline.run(INPUT, scope);
    scope.cancel("deadline");
    runner.step("vendor").end(failed("vendor_unavailable", "unknown"));
    expect((await order).error).toBe("timeout");
  });

  test("before the order began: no step is started", async () => {
    scope.cancel("shutdown");
    const { error, steps } = await pipeline.run(INPUT, scope);
    expect(error).toBe("canceled");
    expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map(() => canceled("shutdown", "none")));
    expect(runner.started).toEqual([]);
    expectNothingLeft();
  });
});

test("a step that has waited for capacity until its cancel never starts, and lasted as long", async () => {
  using _taken = capacities.courier.tryAcquire();
  const order = pipeline.run(INPUT, scope);
  await pause(20);
  scope.cancel("deadline");
  const courier = (await order).steps.find(({ name }) => name === "courier");
  expect(courier?.outcome).toEqual(canceled("deadline", "none"));
  expect(courier?.durationMs).toBeGreaterThanOrEqual(19);
  expect(runner.names()).toEqual(BESIDE_COURIER);
});

test("capacity is handed on in order of arrival, and held until the step has really ended", async () => {
  const first = pipeline.run({ ...INPUT, orderId: "first" }, scope);
  const second = pipeline.run({ ...INPUT, orderId: "second" }, scope);
  const third = pipeline.run({ ...INPUT, orderId: "third" }, scope);
  const couriers = () => runner.started.filter(({ spec }) => spec.name === "courier");
  for (const expected of [["first"], ["first", "second"], ["first", "second", "third"]]) {
    expect(couriers().map(({ input }) => input.orderId)).toEqual(expected);
    expect([capacities.courier.inUse, capacities.courier.waiting]).toEqual([1, 3 - expected.length]);
    couriers().at(-1)?.end(OK);
    await turn();
  }
  for (const { end } of runner.started) end(OK);
  for (const { error } of await Promise.all([first, second, third])) expect(error).toBeUndefined();
  expect(capacities.courier.inUse).toBe(0);
});

test("an order is internal whose step is not ok though nobody failed and nobody canceled", () => {
  expect(errorOf([{ outcome: canceled("shutdown") }, { outcome: OK }], undefined, undefined)).toBe("internal");
});

test("an answer spells every outcome as the contract does", async () => {
  runner.ignoringCancel.add("vendor");
  const order = pipeline.run(INPUT, scope);
  runner.step("courier").end(failed("no_courier"));
  runner.step("vendor").end(LOST);
  const answer: AnswerBody = answerTo("o-1", await order, []);
  expect(answer).toMatchObject({
    status: "error",
    order_id: "o-1",
    steps: STEPS.map((name) => {
      if (name === "vendor") return { name, status: "error", detail: "internal" };
      return name === "courier" ? { name, status: "error", detail: "no_courier" } : { name, status: "canceled", detail: "sibling_failed" };
    }),
    error: { kind: "no_courier", message: "order failed" },
  });
  for (const step of answer.steps) expect(Object.keys(step).sort()).toEqual(["detail", "duration_ms", "name", "status"]);
});
