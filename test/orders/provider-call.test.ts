import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, Capacity, monotonicMs } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner, type FakeStep } from "../threads/fake-runner.ts";

const OK: StepOutcome = { status: "ok" };
const UNAVAILABLE: StepOutcome = { status: "failed", kind: "vendor_unavailable", effect: "none", unavailable: {} };
const UNAVAILABLE_IN_DOUBT: StepOutcome = { ...UNAVAILABLE, effect: "unknown" };
const REFUSED: StepOutcome = { status: "failed", kind: "vendor_unavailable", effect: "none" };
const DECLINED: StepOutcome = { status: "failed", kind: "payment_declined", effect: "none" };
const INPUT: AttemptInput = { orderId: "o", amount: 1, attempt: 1 };
const FOR_EVER_MS = 300_000;

let runner: FakeRunner;
let vendor: ProviderHealth;
let capacities: Record<StepName, Capacity>;
let pipeline: Pipeline;
let scope: CancelScope<CancelCause>;
let jitter: number;

beforeEach(() => {
  runner = new FakeRunner();
  jitter = 0;
  vendor = new ProviderHealth({ random: () => jitter });
  capacities = perStep(() => new Capacity(1_000));
  pipeline = new Pipeline(runner, capacities, { vendor });
  scope = new CancelScope<CancelCause>();
});

const calls = (name: StepName = "vendor"): FakeStep[] => runner.started.filter(({ spec }) => spec.name === name);
const last = (name: StepName = "vendor"): FakeStep => calls(name).at(-1) as FakeStep;
const call = (n: number) => eventually(`call ${n}`, () => calls().length === n);

/** So many orders that go well: the vendor's calls take `tookMs`. */
async function goWell(orders: number, tookMs = 1): Promise<void> {
  for (let n = 0; n < orders; n++) {
    const own = new FakeRunner();
    own.onStart = ({ end }) => setImmediate(() => end(OK, monotonicMs(), monotonicMs() - tookMs));
    await new Pipeline(own, capacities, { vendor }).run(INPUT, new CancelScope<CancelCause>());
  }
}

async function openCircuit(): Promise<void> {
  for (let n = 0; vendor.circuit.state === "closed"; n++) {
    const own = new FakeRunner();
    own.onStart = ({ spec, end }) => setImmediate(() => end(spec.name === "vendor" ? UNAVAILABLE : OK));
    await new Pipeline(own, capacities, { vendor }).run({ ...INPUT, orderId: `failing ${n}` }, new CancelScope<CancelCause>());
    expect(n).toBeLessThan(20);
  }
}

/** An order whose first call of the vendor ends so. */
function runMeeting(outcome: StepOutcome): ReturnType<Pipeline["run"]> {
  const order = pipeline.run(INPUT, scope);
  last().end(outcome);
  return order;
}

/** Of a step of an order that has ended. */
async function outcomeOf(order: ReturnType<Pipeline["run"]>, name: StepName): Promise<StepOutcome | undefined> {
  const { steps } = await order;
  for (const capacity of Object.values(capacities)) expect([capacity.inUse, capacity.waiting]).toEqual([0, 0]);
  expect([runner.running, runner.opened - runner.closed, scope.listenerCount]).toEqual([0, 0, 0]);
  return steps.find((step) => step.name === name)?.outcome;
}

describe("a call that met an unavailable provider", () => {
  test("is made again, three times in all, while its siblings go on", async () => {
    await goWell(50);
    const order = runMeeting(UNAVAILABLE);
    await call(2);
    expect(runner.names()).toEqual([...STEPS, "vendor"]);
    last().end(UNAVAILABLE);
    await call(3);
    last().end(UNAVAILABLE);
    expect(await outcomeOf(order, "payment")).toMatchObject({ status: "canceled", cause: "sibling_failed" });
    expect((await order).error).toBe("vendor_unavailable");
    expect(calls()).toHaveLength(3);
  });

  test("may go well the second time, and then it went well, whatever the first has done", async () => {
    await goWell(5);
    const order = runMeeting(UNAVAILABLE_IN_DOUBT);
    await call(2);
    runner.endAll();
    last().end(OK);
    expect(await outcomeOf(order, "vendor")).toEqual(OK);
    expect(await order).not.toHaveProperty("error");
  });

  test.each([
    ["surely nothing happened", REFUSED],
    ["it is unavailable again, and nothing happened", UNAVAILABLE],
    ["canceled before it began", { status: "canceled", cause: "sibling_failed", effect: "none" } as StepOutcome],
  ])("stays in doubt after a try that was in doubt, though the next one says: %s", async (_, second) => {
    await goWell(5);
    const order = runMeeting(UNAVAILABLE_IN_DOUBT);
    await call(2);
    // No budget is left for a third.
    if (second.status === "canceled") last("payment").end(DECLINED);
    last().end(second);
    expect(await outcomeOf(order, "vendor")).toMatchObject({ status: second.status, effect: "unknown" });
  });

  test.each([
    ["without a budget", 0, UNAVAILABLE],
    ["where the provider has refused the order: it is available", 50, REFUSED],
  ])("is not made again %s", async (_, wentWell, outcome) => {
    await goWell(wentWell);
    expect(await outcomeOf(runMeeting(outcome), "vendor")).toEqual(outcome);
    expect(calls()).toHaveLength(1);
  });

  test("waits as long as the provider asks, but not past the deadline", async () => {
    await goWell(50);
    onTestFinished(scope.cancelAfter(FOR_EVER_MS));
    const order = runMeeting({ ...UNAVAILABLE, unavailable: { retryAfterMs: FOR_EVER_MS / 10 } });
    await turn();
    // Within the deadline: it waits, and keeps no other order out.
    expect([runner.running, vendor.circuit.state, vendor.circuit.admits]).toEqual([STEPS.length - 1, "closed", true]);
    scope.cancel("client_disconnected");
    expect(await outcomeOf(order, "vendor")).toEqual({ status: "canceled", cause: "client_disconnected", effect: "none" });

    vendor = new ProviderHealth();
    await goWell(50);
    scope = new CancelScope<CancelCause>();
    onTestFinished(scope.cancelAfter(FOR_EVER_MS));
    const late = new Pipeline(runner, capacities, { vendor }).run(INPUT, scope);
    const asked: StepOutcome = { ...UNAVAILABLE, unavailable: { retryAfterMs: FOR_EVER_MS } };
    last().end(asked);
    expect(await outcomeOf(late, "vendor")).toEqual(asked);
    expect([(await late).retryAfterMs, (await order).retryAfterMs]).toEqual([FOR_EVER_MS, undefined]);
  });

  test.each(["deadline", "client_disconnected", "sibling_failed"] as const)("ends its wait at once with its order: %s", async (cause) => {
    jitter = 1;
    await goWell(50);
    const before = timers();
    const order = runMeeting(UNAVAILABLE_IN_DOUBT);
    await eventually("its wait", () => timers() === before + 1);
    if (cause === "sibling_failed") last("payment").end(DECLINED);
    else scope.cancel(cause);
    expect(await outcomeOf(order, "vendor")).toEqual({ status: "canceled", cause, effect: "unknown" });
    expect([timers(), calls().length]).toEqual([before, 1]);
  });

  test("is not made again when it could not end before the deadline", async () => {
    await goWell(50, FOR_EVER_MS * 0.6);
    const stop = scope.cancelAfter(FOR_EVER_MS);
    const hasTime = runMeeting(UNAVAILABLE);
    await call(2);
    runner.endAll();
    last().end(OK);
    expect(await hasTime).not.toHaveProperty("error");
    stop();
    onTestFinished(scope.cancelAfter(FOR_EVER_MS / 2));
    runner = new FakeRunner();
    const late = new Pipeline(runner, capacities, { vendor }).run(INPUT, scope);
    // Nor is the first one begun, and the order need not wait for its deadline.
    expect(await outcomeOf(late, "vendor")).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
    expect((await late).error).toBe("timeout");
    expect(runner.names()).not.toContain("vendor");
    expect(vendor.circuit.state).toBe("closed");
  });
});

describe("an open circuit", () => {
  test("fails an order before anything of it begins", async () => {
    await openCircuit();
    const { steps, error, retryAfterMs } = await pipeline.run(INPUT, scope);
    expect([error, runner.opened, scope.listenerCount]).toEqual(["vendor_unavailable", 0, 0]);
    const refused = { ...REFUSED, unavailable: { retryAfterMs } };
    const canceled = { status: "canceled", cause: "sibling_failed", effect: "none" };
    expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((step) => (step === "vendor" ? refused : canceled)));
    expect(retryAfterMs).toBeGreaterThan(vendor.circuit.retryAfterMs - 1);
  });

  test("lets a probe through, whose siblings wait until it went well", async () => {
    await openCircuit();
    await eventually("a probe's time", () => vendor.circuit.admits);
    const probe = pipeline.run(INPUT, scope);
    expect(runner.names()).toEqual(["vendor"]);
    await turn();
    last().end(OK);
    await eventually("the others", () => runner.names().length === STEPS.length);
    expect(vendor.circuit.state).toBe("half_open");
    runner.endAll();
    expect(await outcomeOf(probe, "payment")).toEqual(OK);
  });

  test("a probe that fails has its siblings never begin, and is not made again", async () => {
    await openCircuit();
    await eventually("a probe's time", () => vendor.circuit.admits);
    const probe = runMeeting(UNAVAILABLE);
    expect(await outcomeOf(probe, "payment")).toEqual({ status: "canceled", cause: "sibling_failed", effect: "none" });
    expect(runner.names()).toEqual(["vendor"]);
  });
});

describe("what a canceled call says of its provider", () => {
  /** Orders whose vendor call is cut off after `tookMs`; returns the circuit's state. */
  async function cutOff(cause: CancelCause, tookMs: number, isLate: boolean, effect: "none" | "unknown" = "unknown"): Promise<string> {
    for (let n = 0; n < 10 && vendor.circuit.state === "closed"; n++) {
      const own = new FakeRunner();
      own.ignoringCancel.add("vendor");
      const one = new CancelScope<CancelCause>();
      // Not far from now: what calls took is forgotten after a while.
      const stop = one.cancelAfter(5_000);
      const order = new Pipeline(own, capacities, { vendor }).run({ ...INPUT, orderId: `cut off ${n}` }, one);
      const endedAtMs = (one.deadlineMs as number) - (isLate ? 0 : 1_000);
      one.cancel(cause);
      own.step("vendor").end({ status: "canceled", cause, effect }, endedAtMs, endedAtMs - tookMs);
      await order;
      stop();
    }
    return vendor.circuit.state;
  }

  test.each(["sibling_failed", "client_disconnected", "shutdown"] as const)("%s is none", async (cause) => {
    expect(await cutOff(cause, FOR_EVER_MS, true)).toBe("closed");
  });

  test("a deadline is none where no call was under way, or where it was not the order's own; else it is its fault", async () => {
    expect(await cutOff("deadline", 100, true, "none")).toBe("closed");
    expect(await cutOff("deadline", 100, false)).toBe("closed");
    expect(await cutOff("deadline", 100, true)).toBe("open");
  });

  test("a deadline is none where the call had less time than others took that went well", async () => {
    await goWell(1, 200);
    expect(await cutOff("deadline", 100, true)).toBe("closed");
    expect(await cutOff("deadline", 300, true)).toBe("open");
  });

  test("a lost thread is none of its faults, and its call is not made again", async () => {
    await goWell(50);
    for (let n = 0; n < 30; n++) {
      scope = new CancelScope<CancelCause>();
      await runMeeting({ status: "lost", reason: "exit", effect: "unknown" });
    }
    expect([vendor.circuit.state, calls().length]).toEqual(["closed", 30]);
  });
});
