import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { ReplaceReason } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { canceledBy, Fixture, lost, OK } from "./fixture.ts";

const CANCELED = canceledBy("client_disconnected", "unknown");

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

describe("killThread", () => {
  test("terminates the busiest thread; steps of other threads notice nothing", async () => {
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
    expect(fixture.threads.totals().running).toBe(1);
    fixture.open(second);
    expect(await second.outcome).toEqual(OK);
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
    expect(await withdrawn.outcome).toEqual(canceledBy("client_disconnected", "none"));
    fixture.counters.add(fixture.startGate);
    expect(await kept.outcome).toEqual(OK);
    expect([fixture.runsOf(kept), fixture.runsOf(withdrawn)]).toEqual([1, 0]);
    await expectRecovered(fixture, "killed");
  });

  test("every thread at once, the idle ones too: all are replaced", async () => {
    await using fixture = await Fixture.start({ shared: 3, exclusive: 2 });
    const before = fixture.views().map(({ id }) => id);
    const steps = await Promise.all([1, 2, 3, 4].map((n) => fixture.running("wait", { computes: n > 3 })));
    while (fixture.threads.killThread() !== undefined);
    for (const step of steps) expect(await step.outcome).toEqual(lost("killed"));
    fixture.expectIdle();
    await eventually("five replacements", () => fixture.replacements.length === 5);
    await fixture.allThreadsUp();
    expect(fixture.views().filter(({ id }) => before.includes(id))).toEqual([]);
    expect(Object.fromEntries(fixture.threads.statistics().replaced)).toEqual({ killed: 5 });
    const next = [1, 2, 3, 4, 5].map((n) => fixture.lone("succeed", { computes: n > 3 }));
    for (const step of next) expect(await step.outcome).toEqual(OK);
    fixture.expectIdle();
  });
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
  test.each([false, true])("retryable (exclusive: %s), but it kills every thread: is lost after two repeats", async (computes) => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
    const step = fixture.lone("exit", { retryable: true, computes });
    expect(await step.outcome).toEqual(lost("exit"));
    expect(fixture.runsOf(step)).toBe(3);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["exit", "exit", "exit"]);
    expect(await fixture.lone("succeed", { computes }).outcome).toEqual(OK);
    await fixture.allThreadsUp();
  });

  test("retryable and canceled before its repeat: not run again, and what the first run did is unknown", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running(fixture.script("wait", { calls: true }), { retryable: true });
    fixture.threads.killThread();
    await eventually("the thread to be gone", () => fixture.replacements.length === 1);
    expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1 });
    step.scope.cancel("client_disconnected");
    expect(await step.outcome).toEqual(CANCELED);
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "killed");
  });

  test("retryable and canceled while it ran: canceled, not repeated", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running("ignore_cancel", { retryable: true });
    step.scope.cancel("client_disconnected");
    fixture.threads.killThread();
    expect(await step.outcome).toEqual(CANCELED);
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "killed");
  });
});
