import { expect, test } from "vitest";
import { CourierCalls } from "../../src/couriers/courier-share.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { EndedStep } from "../../src/orders/step.ts";
import type { StepSpec } from "../../src/orders/step-runner.ts";
import { CancelScope } from "../../src/threads/index.ts";

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
