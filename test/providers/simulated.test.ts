import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput, Simulation } from "../../src/orders/step.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, type Threads } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

let threads: Threads;
beforeAll(async () => {
  threads = await startThreads(undefined);
});
afterEach(() => {
  expect(threads.counters()).toEqual(NOTHING_LEFT);
  expect(threads.statistics().running).toBe(0);
  expect([...threads.statistics().replaced]).toEqual([]);
});
afterAll(() => threads.close());

let orders = 0;

/** An order of its own that is treated so; one over HTTP is in `http.test.ts`. */
const order = (treatment: Partial<Simulation> = {}): AttemptInput => ({
  orderId: `simulated-${orders++}`,
  amount: 1200,
  attempt: 1,
  simulation: { delayMs: perStep(() => 0), ...treatment },
});

const FAILURE: Record<StepName, string> = {
  ...perStep((step) => STEP_TABLE[step].simulated.failsWith),
  payment: "payment_declined",
  vendor: "vendor_unavailable",
  courier: "no_courier",
};

describe.each(STEPS)("a simulated %s", (step) => {
  test("does its part", async () => {
    expect(await runStep(threads, step, "perform", order())).toEqual({ status: "ok" });
  });

  test("takes the time it takes", async () => {
    const startedAt = performance.now();
    const outcome = await runStep(threads, step, "perform", order({ delayMs: perStep(() => 120) }));
    expect(outcome).toEqual({ status: "ok" });
    // A timer may fire a millisecond early.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
  });

  test("says no with the kind of its step", async () => {
    const outcome = await runStep(threads, step, "perform", order({ failStep: step }));
    expect(outcome).toMatchObject({ status: "failed", kind: FAILURE[step] });
  });

  test("stops at once when canceled, for any cause", async () => {
    // Each step for another one.
    const cause = CANCEL_CAUSES[STEPS.indexOf(step) % CANCEL_CAUSES.length] as CancelCause;
    await fastOnce("the stop", 100, async () => {
      const scope = new CancelScope<CancelCause>();
      const slow = order({ delayMs: perStep(() => 600_000) });
      const running = runStep(threads, step, "perform", slow, scope);
      await eventually("it runs", () => threads.statistics().running === 1);
      await sleep(50);
      const canceledAt = performance.now();
      scope.cancel(cause);
      expect(await running).toMatchObject({ status: "canceled", cause });
      return performance.now() - canceledAt;
    });
  });

  test("never begins when canceled before", async () => {
    const scope = new CancelScope<CancelCause>();
    scope.cancel("shutdown");
    const outcome = await runStep(threads, step, "perform", order(), scope);
    expect(outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  });

  test("compensates what was done, as often as asked", async () => {
    const done = order();
    expect(await runStep(threads, step, "perform", done)).toEqual({ status: "ok" });
    for (let n = 0; n < 3; n++) expect(await runStep(threads, step, "compensate", done)).toEqual({ status: "ok" });
  });

  test("does not compensate in a run that was canceled before", async () => {
    const scope = new CancelScope<CancelCause>();
    scope.cancel("deadline");
    const outcome = await runStep(threads, step, "compensate", order(), scope);
    expect(outcome).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
  });
});
