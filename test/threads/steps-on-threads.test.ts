import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import type { AttemptInput, Simulation } from "../../src/orders/step.ts";
import type { StepSpec } from "../../src/orders/step-runner.ts";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import { CancelScope, Capacity, openThreads, type ReplaceReason, type Threads } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { ABSENT, DEADLY } from "./echo.ts";
import { canceledBy, Fixture, inputFor, lost, OK } from "./fixture.ts";

const CANCELED = canceledBy("sibling_failed", "none");
const FAILED = { status: "failed", kind: "payment_declined", effect: "none" };
const capacities = () => perStep(() => new Capacity(10));

describe("a step that fails", () => {
  test("cancels its siblings on its own thread and on others, waiting and computing: the main thread has no part in it", async () => {
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

  test("was first where a deadline comes while its outcome is on its way, for the order and for every step", async () => {
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
    fixture.open({ script: plan.payment });
    fixture.counters.block(plan.vendor.ends);
    scope.cancel("deadline");
    const { error, steps } = await order;
    expect(error).toBe("payment_declined");
    expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((name) => (name === "payment" ? FAILED : CANCELED)));
    expect(fixture.counters.read(plan.courier.runs)).toBe(0);
    fixture.expectIdle();
  });

  test.each([
    ["throw_in_step", /^TypeError: a bug in a step\n/],
    ["throw_odd_value", /^\[Object: null prototype\] \{\}$/],
  ] as const)("by a bug (%s) fails as internal, and its stack is told", async (script, bug) => {
    await using fixture = await Fixture.start({ shared: 1 });
    for (const calls of [false, true]) {
      const outcome = await fixture.lone(fixture.script(script, { calls })).outcome;
      expect(outcome).toEqual({ status: "failed", kind: "internal", effect: calls ? "unknown" : "none" });
    }
    fixture.expectIdle();
    expect(fixture.bugs).toEqual([bug, bug].map((stack) => expect.stringMatching(stack)));
    expect([fixture.replacements, fixture.faults]).toEqual([[], []]);
  });
});

test("a step that is no async function ends when it returns, and the steps that came with it notice nothing", async () => {
  await using fixture = await Fixture.start({ shared: 1 });
  const scripts = { ...perStep(() => fixture.script("succeed")), vendor: fixture.script("return_nothing") };
  const { steps } = await new Pipeline(fixture.runner, capacities()).run(inputFor(scripts), new CancelScope());
  expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map(() => OK));
  expect(fixture.replacements).toEqual([]);
});

describe("a step gets", () => {
  const deaths = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  let threads: Threads<never>;

  beforeAll(async () => {
    threads = await openThreads({ file: new URL("./echo.ts", import.meta.url), shared: 1, codecs: STEP_CODECS, settings: { deaths } });
  });
  afterAll(() => threads.close());

  /** The action and the input that a step gets on its thread. */
  async function received(name: StepName, input: AttemptInput, more: Partial<StepSpec> = {}): Promise<unknown> {
    const group = new ThreadStepRunner(threads, () => {}).open(new CancelScope());
    try {
      const { outcome } = await group.run({ name, action: "perform", computes: false, retryable: false, ...more }, input);
      if (outcome.status !== "failed" || outcome.answer === undefined) throw new Error(`no echo: ${JSON.stringify(outcome)}`);
      return JSON.parse(outcome.answer);
    } finally {
      group.close();
    }
  }

  const [one, other] = STEPS as readonly StepName[] as readonly [StepName, StepName];
  const ORDER = { orderId: "o-1", amount: 2, attempt: 3 };
  const NOT_SIMULATED = { fails: false, delayMs: ABSENT, cpuMs: ABSENT };

  test("the order, its trace or none, and only its own part of the simulation", async () => {
    const simulations: [Simulation | undefined, object][] = [
      [undefined, NOT_SIMULATED],
      [{}, NOT_SIMULATED],
      [{ failStep: other, delayMs: { [other]: 5 }, cpuMs: { [other]: 6 } }, NOT_SIMULATED],
      [{ failStep: one }, { ...NOT_SIMULATED, fails: true }],
      [{ delayMs: { [one]: 0, [other]: 5 } }, { ...NOT_SIMULATED, delayMs: 0 }],
      [{ cpuMs: { [one]: 7, [other]: 6 } }, { ...NOT_SIMULATED, cpuMs: 7 }],
    ];
    for (const action of ["perform", "compensate"] as const) {
      for (const traceparent of [undefined, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]) {
        for (const [simulation, simulated] of simulations) {
          const input = { ...ORDER, ...(traceparent !== undefined && { traceparent }), ...(simulation !== undefined && { simulation }) };
          const expected = { action, ...ORDER, traceparent: traceparent ?? ABSENT, simulation: simulated };
          expect(await received(one, input, { action })).toEqual(expected);
        }
      }
    }
  });

  test("the same once more when it is repeated after its thread's death", async () => {
    const simulation = { failStep: one, delayMs: { [one]: 1 }, cpuMs: { [one]: 2 } };
    const input = { ...ORDER, orderId: DEADLY, traceparent: "00-1-1-01", simulation };
    const expected = { ...input, action: "perform", simulation: { fails: true, delayMs: 1, cpuMs: 2 } };
    expect(await received(one, input, { retryable: true })).toEqual(expected);
    expect(new Int32Array(deaths)[0]).toBe(2);
  });
});

/** What is true after any fault that cost one thread. */
async function expectRecovered(fixture: Fixture, reason: ReplaceReason, computes = false): Promise<void> {
  fixture.expectIdle();
  expect(fixture.faults).toEqual([]);
  // The next step works, though its thread may still be starting.
  const next = fixture.lone("succeed", { computes });
  expect(await next.outcome).toEqual(OK);
  expect(fixture.runsOf(next)).toBe(1);
  expect(fixture.reasons()).toEqual([reason]);
  expect(Object.fromEntries(fixture.threads.statistics().replaced)).toEqual({ [reason]: 1 });
  await fixture.allThreadsUp();
  fixture.expectIdle();
}

test("killThread terminates the busiest thread; steps of other threads notice nothing", async () => {
  await using fixture = await Fixture.start({ shared: 2 });
  await fixture.spreadsSteps();
  const [first, second] = [await fixture.running("wait"), await fixture.running("wait")];
  expect(fixture.views("shared").map(({ running }) => running)).toEqual([1, 1]);
  const third = await fixture.running("wait");
  // The tie is broken by order, so the first thread has two.
  const busiest = fixture.views().find(({ running }) => running === 2);
  expect(fixture.threads.killThread()).toBe(busiest?.id);
  expect(fixture.replacements).toEqual([]);

  expect(await Promise.all([first.outcome, third.outcome])).toEqual([lost("killed"), lost("killed")]);
  expect(fixture.replacements).toEqual([{ pool: "shared", threadId: busiest?.id, reason: "killed" }]);
  expect(fixture.threads.statistics().running).toBe(1);
  fixture.open(second);
  expect(await second.outcome).toEqual(OK);
  await expectRecovered(fixture, "killed");
});

test("an exclusive thread gets no second step while another one is being replaced", async () => {
  const startFaults = [undefined, undefined, undefined, "wait_at_gate"] as const;
  await using fixture = await Fixture.start({ shared: 1, exclusive: 2, startFaults });
  const first = await fixture.running("compute", { computes: true });
  const victim = fixture.lone("exit", { computes: true });
  expect(await victim.outcome).toEqual(lost("exit"));
  const second = fixture.lone("succeed", { computes: true });
  for (let n = 0; n < 3; n++) await turn();
  // It has its permit, but would have to share a thread that computes. Sent there, it could not end before the other.
  expect(fixture.threads.counters()).toMatchObject({ exclusivePermits: 2, exclusiveWaiting: 0, unsettled: 2 });
  second.scope.cancel("client_disconnected");
  expect(await second.outcome).toEqual(canceledBy("client_disconnected", "none"));
  const third = fixture.lone("succeed", { computes: true });
  fixture.open(first);
  expect(await first.outcome).toEqual(OK);
  expect(await third.outcome).toEqual(OK);
  expect(fixture.runsOf(second)).toBe(0);
  fixture.counters.add(fixture.startGate);
  await expectRecovered(fixture, "exit", true);
});

describe("a step whose thread is lost under it", () => {
  test("retryable, but it kills every thread: is lost after two repeats", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
    const step = fixture.lone("exit", { retryable: true });
    expect(await step.outcome).toEqual(lost("exit"));
    expect(fixture.runsOf(step)).toBe(3);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["exit", "exit", "exit"]);
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    await fixture.allThreadsUp();
  });

  test("retryable and canceled before its repeat: not run again, and what the first run did is unknown", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running(fixture.script("wait", { calls: true }), { retryable: true });
    fixture.threads.killThread();
    await eventually("the thread to be gone", () => fixture.replacements.length === 1);
    expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1 });
    step.scope.cancel("client_disconnected");
    expect(await step.outcome).toEqual(canceledBy("client_disconnected", "unknown"));
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "killed");
  });
});
