import { expect, test } from "vitest";
import { monotonicMs } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";

test("threads on demand start with the first step that computes, and are kept", async () => {
  await using fixture = await Fixture.start({ shared: 1, exclusive: 2, exclusiveOnDemand: true });
  const pools = () => fixture.views().map(({ pool }) => pool);
  expect(pools()).toEqual(["shared"]);

  const first = await fixture.running("wait", { computes: true });
  expect(pools()).toContain("exclusive");
  fixture.open(first);
  expect(await first.outcome).toEqual({ status: "ok" });

  await fixture.allThreadsUp();
  expect(pools()).toEqual(["shared", "exclusive", "exclusive"]);
  fixture.expectIdle();
});

test("threads on demand that nobody needed do not hold up the end", async () => {
  const fixture = await Fixture.start({ shared: 1, exclusive: 2, exclusiveOnDemand: true });
  await fixture.threads.close();
  expect([fixture.views(), fixture.threads.alive, fixture.counters.read(fixture.starts)]).toEqual([[], 0, 1]);
});

test("while threads on demand start, a step that waits for one does not look as if it computed for so long", async () => {
  await using fixture = await Fixture.start({
    shared: 1,
    exclusive: 1,
    exclusiveOnDemand: true,
    startFaults: [undefined, "wait_at_gate"],
  });
  const { exclusive } = fixture.threads;
  const step = fixture.lone("wait", { computes: true });
  await fixture.counters.reached(fixture.starts, 2);
  const held = exclusive.grants.first as NonNullable<typeof exclusive.grants.first>;
  const heldMs = () => exclusive.grants.heldMs(held, monotonicMs());
  expect(heldMs()).toBeLessThan(0);
  fixture.counters.add(fixture.startGate);
  await fixture.counters.reached(step.script.runs);
  await eventually("its hold to count", () => heldMs() > 0);
  fixture.open(step);
  expect(await step.outcome).toEqual({ status: "ok" });
  fixture.expectIdle();
});

test("a step that waits for threads on demand that do not start ends when they are closed", async () => {
  const startFaults = [undefined, ...Array.from({ length: 20 }, () => "exit" as const)];
  const fixture = await Fixture.start({ shared: 1, exclusive: 1, exclusiveOnDemand: true, startFaults });
  const step = fixture.lone("succeed", { computes: true });
  // The pauses between the starts are long by now, and there is no thread in them.
  await fixture.counters.reached(fixture.starts, 4);
  expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, exclusivePermits: 1 });
  await fixture.threads.close();
  expect(await step.outcome).toEqual({ status: "canceled", cause: "shutdown", effect: "none" });
  expect(() => fixture.lone("succeed")).toThrow("the threads are closed");
  expect(fixture.runsOf(step)).toBe(0);
  fixture.expectIdle();
});
