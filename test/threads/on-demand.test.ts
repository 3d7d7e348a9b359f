import { expect, test } from "vitest";
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
