import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Rig } from "./rig.ts";

test("threads on demand start with the first step that computes, and are kept", async () => {
  await using rig = await Rig.start({ threads: 1, cpuThreads: 2, cpuThreadsOnDemand: true });
  const pools = () => rig.runtime.threads().map(({ pool }) => pool);
  expect(pools()).toEqual(["shared"]);

  const first = await rig.running("wait", { computes: true });
  expect(pools()).toContain("exclusive");
  rig.open(first);
  expect(await first.outcome).toEqual({ status: "ok" });

  await rig.allThreadsUp();
  expect(pools()).toEqual(["shared", "exclusive", "exclusive"]);
  rig.expectIdle();
});

test("threads on demand that nobody needed do not hold up the end", async () => {
  const rig = await Rig.start({ threads: 1, cpuThreads: 2, cpuThreadsOnDemand: true });
  await rig.runtime.close();
  expect(rig.runtime.threads()).toEqual([]);
});

test("while threads on demand start, a step that waits for one does not look as if it computed for so long", async () => {
  await using rig = await Rig.start({ threads: 1, cpuThreads: 1, cpuThreadsOnDemand: true, startFaults: [undefined, "wait_at_gate"] });
  const { exclusive } = rig.runtime;
  const step = rig.lone("wait", { computes: true });
  await rig.cells.reached(rig.starts, 2);
  expect([exclusive.inUse, exclusive.firstHeldForMs]).toEqual([1, 0]);
  rig.cells.add(rig.startGate);
  await rig.cells.reached(step.act.runs);
  await eventually("its hold to count", () => exclusive.firstHeldForMs > 0);
  rig.open(step);
  expect(await step.outcome).toEqual({ status: "ok" });
  rig.expectIdle();
});

test("a step that waits for threads on demand that do not start ends with the runtime", async () => {
  const startFaults = [undefined, ...Array.from({ length: 20 }, () => "exit" as const)];
  const rig = await Rig.start({ threads: 1, cpuThreads: 1, cpuThreadsOnDemand: true, startFaults });
  const step = rig.lone("succeed", { computes: true });
  // The pauses between the starts are long by now, and there is no thread in them.
  await eventually("the third death", () => rig.replacements.length === 3);
  await rig.runtime.close();
  expect(await step.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  expect(await rig.lone("succeed").outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  rig.expectIdle();
});
