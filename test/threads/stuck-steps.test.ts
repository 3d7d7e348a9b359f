import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";
import { canceled, expectRecovered, lost, OK } from "./recovery.ts";

const GRACE_MS = 60;

describe("a canceled step that does not stop", () => {
  test("spin: is given up after the grace, its thread is replaced with what runs there, and what had not arrived there runs elsewhere", async () => {
    await using fixture = await Fixture.start({ shared: 2, exclusive: 1, graceMs: GRACE_MS });
    // Of threads with as many steps the pool takes the first.
    await fixture.spreadsSteps();
    const beside = await fixture.running(fixture.script("wait", { calls: true }));
    const elsewhere = await fixture.running("wait");
    const stuck = await fixture.running("spin");
    const filler = fixture.lone("wait");
    const unheard = fixture.lone("succeed");
    await fixture.counters.reached(filler.script.runs);
    const ids = fixture.threads.unsettled().map(({ threadId }) => threadId);
    expect(new Set(ids).size).toBe(2);

    stuck.scope.cancel("client_disconnected");
    expect(fixture.threads.counters().watchedGroups).toBe(1);
    expect(await stuck.outcome).toEqual(canceled());
    expect(fixture.threads.counters()).toMatchObject({ unsettled: 4, watchedGroups: 0 });
    expect(fixture.threads.totals().running).toBe(3);
    expect(fixture.replacements).toEqual([]);

    expect(await beside.outcome).toEqual(lost("grace"));
    expect(await unheard.outcome).toEqual(OK);
    expect(fixture.runsOf(unheard)).toBe(1);
    expect(fixture.threads.totals().running).toBe(2);
    for (const step of [elsewhere, filler]) fixture.open(step);
    for (const step of [elsewhere, filler]) expect(await step.outcome).toEqual(OK);
    const threads = await Promise.all([stuck, beside, elsewhere, filler].map(async ({ ended }) => (await ended).threadId));
    expect(threads.map((id) => id === threads[0])).toEqual([true, true, false, false]);
    expect(fixture.replacements).toMatchObject([{ pool: "shared", threadId: threads[0] }]);
    await expectRecovered(fixture, "grace");
  });

  test.each(["spin", "ignore_cancel"] as const)("%s on an exclusive thread: that thread is replaced, the others stay", async (script) => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 2, graceMs: GRACE_MS });
    const elsewhere = await fixture.running("wait", { computes: true });
    const stuck = await fixture.running(script, { computes: true });
    stuck.scope.cancel("client_disconnected");
    expect(await stuck.outcome).toEqual(canceled());
    expect(fixture.threads.counters()).toMatchObject({ unsettled: 1, exclusivePermits: 1 });
    // Its permit is free, but a thread that still has a step gets no other.
    const next = fixture.lone("succeed", { computes: true });
    expect(await next.outcome).toEqual(OK);
    expect((await next.ended).threadId).not.toBe((await stuck.ended).threadId);
    expect(fixture.replacements).toMatchObject([{ pool: "exclusive", threadId: (await stuck.ended).threadId }]);
    expect(fixture.threads.totals().running).toBe(1);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    await expectRecovered(fixture, "grace", true);
  });

  test("in a native call, which nothing ends: its thread is replaced all the same, long before the call returns", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, graceMs: GRACE_MS });
    const elsewhere = await fixture.running("wait");
    const stuck = await fixture.running(fixture.script("native_call", { ms: 8_000 }), { computes: true });
    stuck.scope.cancel("client_disconnected");
    expect(await stuck.outcome).toEqual(canceled());
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    // Nobody waits for its end, but its end is waited for a little before it is said to be replaced.
    await eventually("the replacement to be told", () => fixture.replacements.length === 1);
    await expectRecovered(fixture, "grace", true);
    // It is still there, and counted as nothing but alive.
    expect([fixture.threads.alive, fixture.views().length]).toEqual([3, 2]);
    await eventually("the call to return", () => fixture.threads.alive === 2);
    // No line of its code ran any more.
    expect(fixture.counters.read(stuck.script.ends)).toBe(0);
    fixture.expectIdle();
  });
});
