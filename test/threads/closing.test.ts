import { expect, test } from "vitest";
import type { StepOutcome } from "../../src/orders/step.ts";
import { Fixture } from "./fixture.ts";

const shutDown = (effect: "none" | "unknown"): StepOutcome => ({ status: "canceled", cause: "shutdown", effect });

test("closing with steps in flight cancels and settles every one of them", async () => {
  const fixture = await Fixture.start({ shared: 1, exclusive: 1, graceMs: 100 });
  const waiting = await fixture.running("wait");
  const ignoring = await fixture.running("ignore_cancel");
  const spinning = await fixture.running("spin", { computes: true });
  const queued = fixture.lone("succeed", { computes: true });
  const early = await fixture.running("wait");
  early.scope.cancel("deadline");
  expect(fixture.threads.counters()).toMatchObject({ unsettled: 5, exclusiveWaiting: 1 });
  await fixture.threads.close();
  expect(await waiting.outcome).toEqual(shutDown("none"));
  for (const step of [ignoring, spinning]) expect(await step.outcome).toEqual(shutDown("unknown"));
  expect(await queued.outcome).toEqual(shutDown("none"));
  expect(fixture.runsOf(queued)).toBe(0);
  // The first cause stays.
  expect(await early.outcome).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
  fixture.expectIdle();
  expect([fixture.views(), fixture.threads.alive, fixture.replacements]).toEqual([[], 0, []]);
});
