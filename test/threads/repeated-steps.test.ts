import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";
import { canceled, expectRecovered, lost, OK } from "./recovery.ts";

describe("a step whose thread is lost under it", () => {
  test.each([
    ["runs again where it is retryable", true, OK, 2],
    ["is lost where it is not", false, lost("exit"), 1],
  ] as const)("%s", async (_what, retryable, outcome, runs) => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = fixture.lone("exit_once", { retryable });
    expect(await step.outcome).toEqual(outcome);
    expect(fixture.runsOf(step)).toBe(runs);
    await expectRecovered(fixture, "exit");
  });

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
    expect(await step.outcome).toEqual(canceled());
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "killed");
  });

  test("retryable and canceled while it ran: canceled, not repeated", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running("ignore_cancel", { retryable: true });
    step.scope.cancel("client_disconnected");
    fixture.threads.killThread();
    expect(await step.outcome).toEqual(canceled());
    expect(fixture.runsOf(step)).toBe(1);
    await expectRecovered(fixture, "killed");
  });
});
