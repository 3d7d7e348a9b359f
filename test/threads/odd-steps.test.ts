import { describe, expect, test } from "vitest";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture, inputFor } from "./fixture.ts";
import { OK } from "./recovery.ts";

test("a step that is no async function ends when it returns, and the steps that came with it notice nothing", async () => {
  await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
  const capacities = perStep(() => new Capacity(1));
  const scripts = { ...perStep(() => fixture.script("succeed")), vendor: fixture.script("return_nothing") };
  const { steps } = await new Pipeline(fixture.runner, capacities).run(inputFor(scripts), new CancelScope());
  expect(steps.map(({ outcome }) => outcome)).toEqual(STEPS.map(() => OK));
  expect(fixture.replacements).toEqual([]);
});

describe("what a step throws", () => {
  test.each([
    ["throw_in_step", /^TypeError: a bug in a step\n/],
    ["throw_odd_value", /^\[Object: null prototype\] \{\}$/],
  ] as const)("%s: fails it as internal and leaves its thread alone", async (script, bug) => {
    await using fixture = await Fixture.start({ shared: 1 });
    const beside = await fixture.running("wait");
    for (const calls of [false, true]) {
      const outcome = await fixture.lone(fixture.script(script, { calls })).outcome;
      expect(outcome).toEqual({ status: "failed", kind: "internal", effect: calls ? "unknown" : "none" });
    }
    fixture.open(beside);
    expect(await beside.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.bugs).toEqual([bug, bug].map((stack) => expect.stringMatching(stack)));
    expect([fixture.replacements, fixture.faults]).toEqual([[], []]);
  });

  test("a promise that it has left behind and that is rejected: is told, and ends neither the step nor its thread", async () => {
    await using fixture = await Fixture.start({ shared: 1 });
    const step = await fixture.running("reject_unhandled");
    await eventually("the fault to be told", () => fixture.faults.length > 0);
    expect(fixture.threads.totals().running).toBe(1);
    expect(fixture.faults).toEqual([
      expect.stringMatching(/^a task left a promise behind that was rejected: Error: nobody handles this\n/),
    ]);
    fixture.open(step);
    expect(await step.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });
});
