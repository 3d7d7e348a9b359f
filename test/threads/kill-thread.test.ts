import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Fixture, type LoneStep } from "./fixture.ts";
import { canceled, expectRecovered, lost, OK } from "./recovery.ts";

/** A step on each of two threads of the shared pool: the pool spreads them, and the test makes sure of it. */
async function onTwoThreads(fixture: Fixture): Promise<readonly [LoneStep, LoneStep]> {
  await fixture.spreadsSteps();
  const first = await fixture.running("wait");
  const second = await fixture.running("wait");
  const shared = fixture.views().filter(({ pool }) => pool === "shared");
  expect(shared.map(({ running }) => running)).toEqual([1, 1]);
  return [first, second];
}

describe("killThread", () => {
  test("terminates the busiest thread; steps of other threads notice nothing", async () => {
    await using fixture = await Fixture.start({ shared: 2 });
    const [first, second] = await onTwoThreads(fixture);
    const third = await fixture.running("wait");
    // The tie is broken by order, so the first thread has two.
    const busiest = fixture.views().find(({ running }) => running === 2);
    expect(fixture.threads.killThread()).toBe(busiest?.id);
    expect(fixture.replacements).toEqual([]);

    expect(await Promise.all([first.outcome, third.outcome])).toEqual([lost("killed"), lost("killed")]);
    expect(fixture.replacements).toEqual([{ pool: "shared", threadId: busiest?.id, reason: "killed" }]);
    expect(fixture.threads.totals().running).toBe(1);
    fixture.open(second);
    expect(await second.outcome).toEqual(OK);
    await expectRecovered(fixture, "killed");
  });

  test("a step that was canceled is canceled, though its thread did not let it stop", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running("ignore_cancel");
    step.scope.cancel("client_disconnected");
    fixture.threads.killThread();
    expect(await step.outcome).toEqual(canceled());
    await expectRecovered(fixture, "killed");
  });

  test("steps that wait for the replacement run on it once; canceled meanwhile, they end at once and never run", async () => {
    await using fixture = await Fixture.start({ shared: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
    const victim = await fixture.running("wait");
    fixture.threads.killThread();
    const [kept, withdrawn] = [fixture.lone("succeed"), fixture.lone("succeed")];
    await victim.ended;
    await turn();
    expect(fixture.threads.counters()).toMatchObject({ groups: 2, unsettled: 2 });
    // There is no thread yet that could say so.
    withdrawn.scope.cancel("client_disconnected");
    expect(await withdrawn.outcome).toEqual(canceled("none"));
    fixture.counters.add(fixture.startGate);
    expect(await kept.outcome).toEqual(OK);
    expect([fixture.runsOf(kept), fixture.runsOf(withdrawn)]).toEqual([1, 0]);
    await expectRecovered(fixture, "killed");
  });

  test("an exclusive thread gets no second step while another one is being replaced", async () => {
    const startFaults = [undefined, undefined, undefined, "wait_at_gate"] as const;
    await using fixture = await Fixture.start({ shared: 1, exclusive: 2, startFaults });
    const [first, victim] = [
      await fixture.running("compute", { computes: true }),
      await fixture.running("wait_then_exit", { computes: true }),
    ];
    fixture.open(victim);
    expect(await victim.outcome).toEqual(lost("exit"));
    const second = fixture.lone("succeed", { computes: true });
    for (let n = 0; n < 3; n++) await turn();
    // It has its permit, but would have to share a thread that computes. Sent there, it could not end before the other.
    expect(fixture.threads.counters()).toMatchObject({ exclusivePermits: 2, exclusiveWaiting: 0, unsettled: 2 });
    second.scope.cancel("client_disconnected");
    expect(await second.outcome).toEqual(canceled("none"));
    const third = fixture.lone("succeed", { computes: true });
    fixture.open(first);
    expect(await first.outcome).toEqual(OK);
    expect(await third.outcome).toEqual(OK);
    expect(fixture.runsOf(second)).toBe(0);
    fixture.counters.add(fixture.startGate);
    await expectRecovered(fixture, "exit", true);
  });

  test("every thread at once: all are replaced", async () => {
    await using fixture = await Fixture.start({ shared: 3, exclusive: 2 });
    const before = fixture.views().map(({ id }) => id);
    const steps = await Promise.all([1, 2, 3, 4, 5].map((n) => fixture.running("wait", { computes: n > 3 })));
    while (fixture.threads.killThread() !== undefined);
    for (const step of steps) expect(await step.outcome).toEqual(lost("killed"));
    fixture.expectIdle();
    await fixture.allThreadsUp();
    expect(fixture.views().filter(({ id }) => before.includes(id))).toEqual([]);
    expect(Object.fromEntries(fixture.threads.statistics().replaced)).toEqual({ killed: 5 });
    const next = [1, 2, 3, 4, 5].map((n) => fixture.lone("succeed", { computes: n > 3 }));
    for (const step of next) expect(await step.outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test("with no step anywhere it takes an idle thread", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
    expect(fixture.threads.killThread()).toBeTypeOf("number");
    await eventually("the replacement", () => fixture.replacements.length === 1);
    await expectRecovered(fixture, "killed");
  });
});
