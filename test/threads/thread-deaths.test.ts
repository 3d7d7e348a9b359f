import { describe, expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, Capacity, type ReplaceReason } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture, inputFor } from "./fixture.ts";
import { canceled, expectRecovered, lost, OK } from "./recovery.ts";
import type { ScriptName } from "./script.ts";

/** Faults by which a thread ends itself, as what it is counted, and what is reported of it. */
const DEATHS: readonly (readonly [ScriptName, ReplaceReason, RegExp | undefined])[] = [
  ["exit", "exit", undefined],
  ["throw_later", "uncaught", /^a thread crashed: Error: nobody catches this$/],
  ["throw_in_microtask", "uncaught", /^a thread crashed: Error: nobody catches this$/],
  ["throw_null_later", "uncaught", /^a thread crashed: null$/],
  ["out_of_memory", "out_of_memory", /^a thread crashed: Error .*JS heap out of memory$/],
];

describe.each([
  ["shared", false],
  ["exclusive", true],
])("a thread of the %s pool that ends by itself", (pool, computes) => {
  test.each(DEATHS)("%s", async (script, reason, fault) => {
    await using fixture = await Fixture.start({ shared: 2, exclusive: 2, heapMb: 32 });
    await fixture.spreadsSteps();
    const elsewhere = await fixture.running("wait", { computes });
    const before = fixture.threads.totals();

    const victim = await fixture.running(fixture.script(script, { calls: true }), { computes });
    expect(await victim.outcome).toEqual(lost(reason));

    // The other thread's step runs on, and is all that the counters hold.
    expect(fixture.threads.totals()).toEqual({ running: 1, started: before.started + 1, finished: before.finished + 1 });
    expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, exclusivePermits: computes ? 1 : 0 });
    expect(fixture.replacements).toMatchObject([{ pool, reason }]);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(fixture, reason, computes, fault);
  });
});

test("a thread that dies takes the other steps on it along, each with the outcome that is its own", async () => {
  await using fixture = await Fixture.start({ shared: 1 });
  const innocent = await fixture.running("wait");
  // It ignores its cancel, so that it is still there when the thread dies.
  const ignoring = await fixture.running("wait_ignoring_cancel");
  const endedBefore = await fixture.running("wait");
  fixture.open(endedBefore);
  expect(await endedBefore.outcome).toEqual(OK);
  ignoring.scope.cancel("client_disconnected");
  const victim = await fixture.running("exit");
  expect(await Promise.all([innocent, ignoring, victim].map(({ outcome }) => outcome))).toEqual([lost("exit"), canceled(), lost("exit")]);
  await expectRecovered(fixture, "exit");
});

test("the order on a lost thread ends as internal with its capacity given back; the one beside it is placed", async () => {
  await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
  const capacities = perStep(() => new Capacity(2));
  const pipeline = new Pipeline(fixture.runner, capacities);
  /** The steps that hold capacity. */
  const inUse = () => STEPS.filter((step) => capacities[step].inUse > 0);
  const fine = { ...perStep(() => fixture.script("succeed")), vendor: fixture.script("wait") };
  const doomed = { ...perStep(() => fixture.script("succeed")), payment: fixture.script("wait_then_exit") };
  const [fineScope, doomedScope] = [new CancelScope<CancelCause>(), new CancelScope<CancelCause>()];

  const good = pipeline.run(inputFor(fine), fineScope);
  // Computes, so it is on the thread of the other pool.
  const bad = pipeline.run({ ...inputFor(doomed), simulation: { cpuMs: { payment: 1 } } }, doomedScope);
  await Promise.all([fixture.counters.reached(doomed.payment.runs), fixture.counters.reached(fine.vendor.runs)]);
  await eventually("two steps to be left", () => inUse().join() === "payment,vendor");
  fixture.open({ script: doomed.payment });
  const { steps, error } = await bad;

  expect(error).toBe("internal");
  expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map((step) => (step === "payment" ? lost("exit") : OK)));
  expect(inUse()).toEqual(["vendor"]);
  fixture.open({ script: fine.vendor });
  expect(await good).not.toHaveProperty("error");
  expect(inUse()).toEqual([]);
  expect([fineScope.listenerCount, doomedScope.listenerCount]).toEqual([0, 0]);
  await expectRecovered(fixture, "exit", true);
});
