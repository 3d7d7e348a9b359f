import { expect, test } from "vitest";
import { Fixture } from "./fixture.ts";

test("a loop that never awaits sees its cancel in the signal that its context gives it", async () => {
  await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
  const step = await fixture.running("compute_by_signal", { computes: true });
  step.scope.cancel("deadline");
  expect(await step.outcome).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
  fixture.expectIdle();
  expect(fixture.replacements).toEqual([]);
});
