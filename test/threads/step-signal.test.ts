import { expect, test } from "vitest";
import { Rig } from "./rig.ts";

test("a loop that never awaits sees its cancel in the signal that its context gives it", async () => {
  await using rig = await Rig.start({ threads: 1, cpuThreads: 1 });
  const step = await rig.running("compute_by_signal", { computes: true });
  step.scope.cancel("deadline");
  expect(await step.outcome).toEqual({ status: "canceled", cause: "deadline", effect: "none" });
  rig.expectIdle();
  expect(rig.replacements).toEqual([]);
});
