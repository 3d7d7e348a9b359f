import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CancelScope } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";
import { canceled, expectRecovered, lost, OK } from "./recovery.ts";

const GRACE_MS = 60;
// Twice the time after which a thread that stands still would be replaced for such a step.
const LONG_MS = 2_500;

describe("a step that ignores its cancel on a shared thread that is well", () => {
  test("is given up alone: its thread stays, takes further steps and ends those that it has", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, graceMs: GRACE_MS });
    const beside = await fixture.running("wait");
    const ignoring = await fixture.running(fixture.script("ignore_cancel", { calls: true }));
    ignoring.scope.cancel("client_disconnected");
    expect(await ignoring.outcome).toEqual(canceled());
    expect(fixture.threads.totals().running).toBe(1);
    await pause(LONG_MS);
    const next = fixture.lone("succeed");
    expect(await next.outcome).toEqual(OK);
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    expect(new Set([await beside.ended, await next.ended, await ignoring.ended].map(({ threadId }) => threadId)).size).toBe(1);
    fixture.expectIdle();
    expect([fixture.replacements, fixture.faults]).toEqual([[], []]);
  });

  test("and ends late after all: is counted once", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, graceMs: GRACE_MS });
    const scope = new CancelScope();
    // Open until after the late end: the step is found by its group, but has settled.
    const group = fixture.runner.open(scope);
    const late = fixture.step(group, fixture.script("wait_ignoring_cancel"));
    await fixture.counters.reached(late.script.runs);
    const beside = await fixture.running("wait");
    scope.cancel("client_disconnected");
    expect(await late.outcome).toEqual(canceled());
    const { started } = fixture.threads.totals();
    expect(fixture.threads.totals()).toEqual({ running: 1, started, finished: started - 1 });
    fixture.open(late);
    await fixture.counters.reached(late.script.ends);
    // Its outcome has been read when that of a later step has.
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    expect(fixture.threads.totals()).toEqual({ running: 1, started: started + 1, finished: started });
    group.close();
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("beside as many as a thread may have: it gets no more steps, another takes its place, and it goes with the last that it has", async () => {
    await using fixture = await Fixture.start({ shared: 2, exclusive: 1, graceMs: GRACE_MS, maxGivenUp: 2 });
    await fixture.spreadsSteps();
    const beside = await fixture.running("wait");
    const elsewhere = await fixture.running("wait");
    const ignoring = await fixture.running("ignore_cancel");
    const filler = await fixture.running("wait");
    const second = await fixture.running("ignore_cancel");
    ignoring.scope.cancel("client_disconnected");
    expect(await ignoring.outcome).toEqual(canceled());
    await pause(LONG_MS);
    expect(fixture.views("shared")).toHaveLength(2);
    second.scope.cancel("client_disconnected");
    expect(await second.outcome).toEqual(canceled());
    await eventually("the replacement", () => fixture.views("shared").length === 3);
    // It has been replaced but not yet gone.
    expect(fixture.replacements).toEqual([]);
    const { threadId } = await ignoring.ended;
    expect((await second.ended).threadId).toBe(threadId);
    const runningThere = () => fixture.views().find(({ id }) => id === threadId)?.running;
    const next = await Promise.all(["wait", "wait", "wait"].map((script) => fixture.running(script as "wait")));
    expect(runningThere()).toBe(1);
    for (const step of [...next, elsewhere, filler]) fixture.open(step);
    for (const step of [...next, elsewhere, filler]) {
      expect(await step.outcome).toEqual(OK);
      expect((await step.ended).threadId).not.toBe(threadId);
    }
    expect(fixture.threads.totals().running).toBe(1);
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    await eventually("the thread to go", () => fixture.replacements.length === 1);
    expect(fixture.replacements).toEqual([{ pool: "shared", threadId, reason: "grace" }]);
    await expectRecovered(fixture, "grace");
    expect(runningThere()).toBeUndefined();
  });

  test("on more threads than may be on their way out at one time: the one that has been so for longest is ended", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, graceMs: GRACE_MS, maxGivenUp: 1 });
    const setAside = async (threads: number) => {
      const [ignoring, beside] = [await fixture.running("ignore_cancel"), await fixture.running("wait")];
      ignoring.scope.cancel("client_disconnected");
      expect(await ignoring.outcome).toEqual(canceled());
      await eventually("the replacement", () => fixture.views("shared").length === threads);
      return beside;
    };
    const first = await setAside(2);
    expect(fixture.threads.totals().running).toBe(1);
    const [ignoring, second] = [await fixture.running("ignore_cancel"), await fixture.running("wait")];
    ignoring.scope.cancel("client_disconnected");
    expect(await first.outcome).toEqual(lost("grace"));
    fixture.open(second);
    expect(await second.outcome).toEqual(OK);
    await eventually("both to be gone", () => fixture.replacements.length === 2);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["grace", "grace"]);
    await fixture.allThreadsUp();
  });
});
