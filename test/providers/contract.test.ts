import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { CANCEL_CAUSES, type CancelCause } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput } from "../../src/orders/step.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, type Threads } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

/** A provider of one kind behind real threads, and how to have it treat an order in a certain way. */
interface Subject {
  readonly threads: Threads;
  order(orderId: string, treatment?: { failStep?: StepName; delayMs?: number }): AttemptInput;
  close(): Promise<void>;
}

async function simulated(): Promise<Subject> {
  const threads = await startThreads(undefined);
  return {
    threads,
    order: (orderId, { failStep, delayMs = 0 } = {}) => ({
      orderId,
      amount: 1200,
      attempt: 1,
      simulation: {
        delayMs: perStep(() => delayMs),
        ...(failStep === undefined ? {} : { failStep }),
      },
    }),
    close: () => threads.close(),
  };
}

async function overHttp(): Promise<Subject> {
  const treatments = new Map<string, { failStep?: StepName; delayMs?: number }>();
  const faultModeOf = ({ body, step, action }: Call): FaultMode => {
    const { failStep, delayMs } = treatments.get(body.order_id) ?? {};
    const slow = delayMs === undefined ? {} : { slowMs: delayMs };
    return { type: action === "perform" && failStep === step ? "refuse" : "answer", ...slow };
  };
  const standIn = await startStandIn({ faultModeOf });
  const threads = await startThreads(perStep(() => standIn.url));
  return {
    threads,
    order(orderId, treatment = {}) {
      treatments.set(orderId, treatment);
      return { orderId, amount: 1200, attempt: 1 };
    },
    async close() {
      await threads.close();
      await standIn.close();
    },
  };
}

const FAILURE: Record<StepName, string> = {
  ...perStep((step) => STEP_TABLE[step].simulated.failsWith),
  payment: "payment_declined",
  vendor: "vendor_unavailable",
  courier: "no_courier",
};

describe.each([
  ["simulated", simulated],
  ["over HTTP", overHttp],
])("a provider, %s", (_name, start) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await start();
  });
  afterEach(() => {
    expect(subject.threads.counters()).toEqual(NOTHING_LEFT);
    expect(subject.threads.totals().running).toBe(0);
    expect([...subject.threads.statistics().replaced]).toEqual([]);
  });
  afterAll(() => subject.close());

  describe.each(STEPS)("%s", (step) => {
    test("does its part", async () => {
      expect(await runStep(subject.threads, step, "perform", subject.order(`ok-${step}`))).toEqual({ status: "ok" });
    });

    test("takes the time it takes", async () => {
      const startedAt = performance.now();
      const outcome = await runStep(subject.threads, step, "perform", subject.order(`slow-${step}`, { delayMs: 120 }));
      expect(outcome).toEqual({ status: "ok" });
      // A timer may fire a millisecond early.
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
    });

    test("says no with the kind of its step", async () => {
      const outcome = await runStep(subject.threads, step, "perform", subject.order(`no-${step}`, { failStep: step }));
      expect(outcome).toMatchObject({ status: "failed", kind: FAILURE[step] });
    });

    test("stops at once when canceled, for any cause", async () => {
      // Each step for another one.
      const cause = CANCEL_CAUSES[STEPS.indexOf(step) % CANCEL_CAUSES.length] as CancelCause;
      let orders = 0;
      await fastOnce("the stop", 100, async () => {
        const scope = new CancelScope<CancelCause>();
        const order = subject.order(`stop-${step}-${cause}-${orders++}`, { delayMs: 600_000 });
        const running = runStep(subject.threads, step, "perform", order, scope);
        await eventually("it runs", () => subject.threads.totals().running === 1);
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
      const outcome = await runStep(subject.threads, step, "perform", subject.order(`never-${step}`), scope);
      expect(outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
    });

    test("compensates what was done, as often as asked", async () => {
      const order = subject.order(`compensate-${step}`);
      expect(await runStep(subject.threads, step, "perform", order)).toEqual({ status: "ok" });
      for (let n = 0; n < 3; n++) expect(await runStep(subject.threads, step, "compensate", order)).toEqual({ status: "ok" });
    });

    test("does not compensate in a run that was canceled before", async () => {
      const scope = new CancelScope<CancelCause>();
      scope.cancel("deadline");
      const outcome = await runStep(subject.threads, step, "compensate", subject.order(`compensate-late-${step}`), scope);
      expect(outcome).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
    });
  });

  test("takes any order id", async () => {
    for (const id of ["é", "%C3%A9", "a b", "a:1:payment", "日本".repeat(64), "\ud83d\ude80", "\ud800", "/../?#&", '"\\', " ", "."]) {
      expect(await runStep(subject.threads, "payment", "perform", subject.order(id)), id).toEqual({ status: "ok" });
      expect(await runStep(subject.threads, "payment", "compensate", subject.order(id)), id).toEqual({ status: "ok" });
    }
  });
});
