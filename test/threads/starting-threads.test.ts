import { readdirSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { monotonicMs, openThreads, type ReplaceReason, Threads } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { canceledBy, Fixture, lost, OK } from "./fixture.ts";
import type { StartFault } from "./script.ts";

const CLOSED = "Error: the threads are closed";

/** Of each death while a thread started something was told. Only of a thread that had come up it is said that it was replaced. */
function expectTold(fixture: Fixture, fault: StartFault, deaths: number, others: readonly ReplaceReason[]): void {
  expect(fixture.reasons().filter((reason) => reason !== "exit")).toEqual(others);
  // One that says that it is ready and dies may be counted as up for a moment, or not.
  const exits = fixture.reasons().length - others.length;
  expect(exits).toBeLessThanOrEqual(fault === "exit_after_ready" ? deaths : 0);
  const why = fault === "throw" ? "this thread does not start" : `worker exited with code: ${fault === "exit" ? 3 : 4}`;
  const crash = `a thread crashed while it started: Error: ${why}`;
  expect(fixture.faults).toEqual(Array.from({ length: deaths - exits }, () => crash));
}

/** Every worker of this process that starts from now on. */
function workersFromNowOn(then: (all: readonly Worker[]) => void = () => {}): readonly Worker[] {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => {
    workers.push(worker);
    then(workers);
  };
  process.on("worker", onWorker);
  onTestFinished(() => void process.off("worker", onWorker));
  return workers;
}

describe("a thread that dies while it starts", () => {
  test.each(["exit", "throw", "exit_after_ready"] as const)(
    "by %s, at the first start and as a replacement: another comes up",
    async (fault) => {
      await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults: [fault, undefined, undefined, fault] });
      // A thread that dies after it said that it is ready may be counted as up for a moment.
      await fixture.counters.reached(fixture.starts, 3);
      await fixture.allThreadsUp();
      expectTold(fixture, fault, 1, []);
      const victim = await fixture.running("wait");
      fixture.threads.killThread();
      expect(await victim.outcome).toEqual(lost("killed"));
      // Waits through the failed start.
      const next = fixture.lone("succeed");
      expect(await next.outcome).toEqual(OK);
      expect(fixture.runsOf(next)).toBe(1);
      await fixture.allThreadsUp();
      expectTold(fixture, fault, 2, ["killed"]);

      // And replacing goes on working after that: Piscina by itself would have given up.
      expect(await fixture.lone("exit").outcome).toEqual(lost("exit"));
      for (const computes of [false, true]) expect(await fixture.lone("succeed", { computes }).outcome).toEqual(OK);
      fixture.expectIdle();
    },
  );

  test("after it claimed its row and before it said so: the row is free again", async () => {
    // No pool has so many of them in a row that its start fails.
    const startFaults = Array.from({ length: 5 }, () => "exit_before_ready" as const);
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults });
    expect(fixture.counters.read(fixture.starts)).toBe(startFaults.length + 2);
    const counting = fixture.lone("count_rows");
    expect(await counting.outcome).toEqual(OK);
    expect(fixture.counters.read(counting.script.gate)).toBe(2);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("terminated from outside, the first ones at once and a replacement while it loads: others come up, and nobody else is replaced", async () => {
    const workers = workersFromNowOn((all) => all.length <= 2 && void all.at(-1)?.terminate());
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
    const before = workers.length;
    expect([before > 2, fixture.replacements]).toEqual([true, []]);
    const elsewhere = await fixture.running("wait", { computes: true });
    expect(await fixture.lone("exit").outcome).toEqual(lost("exit"));
    await eventually("the replacement to load", () => fixture.counters.read(fixture.starts) === 3);
    const waiting = fixture.lone("succeed");
    await workers[before]?.terminate();
    expect(await waiting.outcome).toEqual(OK);
    fixture.open(elsewhere);
    expect(await elsewhere.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.reasons()).toEqual(["exit"]);
    await fixture.allThreadsUp();
    expect(workers).toHaveLength(before + 2);
  });

  test("that hangs while it loads, at the first start and as a replacement: another takes its place; if all hang, the start fails", async () => {
    const startFaults = ["wait_at_gate", undefined, undefined, "wait_at_gate"] as const;
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startTimeoutMs: 2_000, startFaults });
    expect(fixture.replacements).toEqual([]);
    const victim = await fixture.running("wait");
    fixture.threads.killThread();
    expect(await victim.outcome).toEqual(lost("killed"));
    for (const computes of [false, true]) expect(await fixture.lone("succeed", { computes }).outcome).toEqual(OK);
    await fixture.allThreadsUp();
    expect(fixture.reasons()).toEqual(["killed"]);
    // On a slow machine it may have been too little time for a thread that does not hang, too.
    expect(new Set(fixture.faults)).toEqual(new Set(["a thread was ended before it came up: heartbeat"]));
    const hang = Fixture.start({ shared: 5, startTimeoutMs: 1_000, startFaults: Array.from({ length: 12 }, () => "wait_at_gate") });
    await expect(hang).rejects.toThrow("pool do not start: they do not load in time");
  });

  test("every time, for its file cannot be loaded: the start fails, says why, and leaves no thread", async () => {
    const osThreads = () => (process.platform === "linux" ? readdirSync("/proc/self/task").length : 0);
    const before = osThreads();
    const faults: string[] = [];
    const starting = openThreads({
      file: new URL(`data:text/javascript,throw new Error("this file cannot be loaded")`),
      shared: 2,
      exclusive: 1,
      exclusiveOnDemand: false,
      onFault: (message, error) => faults.push(`${message}: ${error}`),
    });
    await expect(starting).rejects.toThrow(/do not start: this file cannot be loaded/);
    expect(faults.length).toBeGreaterThan(4);
    expect(new Set(faults)).toEqual(new Set(["a thread crashed while it started: Error: this file cannot be loaded"]));
    expect(osThreads()).toBeLessThanOrEqual(before);
  });

  test("and one that starts is not offered to killThread", async () => {
    const startFaults = [undefined, undefined, "wait_at_gate", "wait_at_gate"] as const;
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults });
    expect([fixture.threads.killThread(), fixture.threads.killThread()]).not.toContain(undefined);
    await eventually("both replacements to load", () => fixture.counters.read(fixture.starts) === 4);
    expect(fixture.threads.killThread()).toBeUndefined();
    const waiting = fixture.lone("succeed");
    fixture.counters.add(fixture.startGate);
    expect(await waiting.outcome).toEqual(OK);
    await fixture.allThreadsUp();
    fixture.expectIdle();
  });
});

test("whoever waits for the threads learns that they are up, and at their close that they never will be", async () => {
  const open = () => new Threads({ file: new URL("./tasks-of-nothing.ts", import.meta.url), shared: 2, exclusive: 0 });
  await using threads = open();
  await Promise.all([threads.ready(), threads.ready()]);
  expect(threads.alive).toBe(2);
  const closed = open();
  const waits = Promise.allSettled([closed.ready(), closed.ready()]);
  await closed.close();
  expect((await waits).map((wait) => wait.status === "rejected" && String(wait.reason))).toEqual([CLOSED, CLOSED]);
});

describe("threads on demand", () => {
  const ON_DEMAND = { shared: 1, exclusive: 2, exclusiveOnDemand: true };

  test("start with the first step that computes, which does not look as if it computed for so long, and are kept", async () => {
    await using fixture = await Fixture.start({ ...ON_DEMAND, startFaults: [undefined, "wait_at_gate", "wait_at_gate"] });
    const pools = () => fixture.views().map(({ pool }) => pool);
    expect(pools()).toEqual(["shared"]);
    const { grants } = fixture.threads.exclusive;
    const step = fixture.lone("wait", { computes: true });
    await fixture.counters.reached(fixture.starts, 2);
    const held = grants.first as NonNullable<typeof grants.first>;
    const heldMs = () => grants.heldMs(held, monotonicMs());
    expect(heldMs()).toBeLessThan(0);
    fixture.counters.add(fixture.startGate);
    await fixture.counters.reached(step.script.runs);
    expect(pools()).toContain("exclusive");
    await eventually("its hold to count", () => heldMs() > 0);
    fixture.open(step);
    expect(await step.outcome).toEqual(OK);
    await fixture.allThreadsUp();
    expect(pools()).toEqual(["shared", "exclusive", "exclusive"]);
    fixture.expectIdle();
  });

  test("that nobody needed do not hold up the end", async () => {
    const fixture = await Fixture.start(ON_DEMAND);
    await fixture.threads.close();
    expect([fixture.views(), fixture.threads.alive, fixture.counters.read(fixture.starts)]).toEqual([[], 0, 1]);
  });

  test("that never load: what waits for one is lost, and so is what comes then; the shared ones go on", async () => {
    const startFaults = [undefined, ...Array.from({ length: 20 }, () => "throw" as const)];
    await using fixture = await Fixture.start({ ...ON_DEMAND, exclusive: 1, startFaults });
    const steps = [fixture.lone("succeed", { computes: true })];
    const reason = "the threads of the exclusive pool do not start: this thread does not start";
    const never = { status: "lost", reason, effect: "none" };
    expect(await steps[0]?.outcome).toEqual(never);
    steps.push(fixture.lone("succeed", { computes: true }));
    expect(await steps[1]?.outcome).toEqual(never);
    expect(steps.map((step) => fixture.runsOf(step))).toEqual([0, 0]);
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test("that never load beside one that did: what waits is not lost, and runs when that one is free", async () => {
    const startFaults = [undefined, ...Array.from({ length: 20 }, () => "throw" as const)];
    await using fixture = await Fixture.start({
      shared: 1,
      exclusive: 2,
      exclusiveOnDemand: true,
      startFaults: [undefined, ...startFaults],
    });
    const holder = fixture.lone("sleep", { computes: true });
    await fixture.counters.reached(holder.script.runs);
    const waiting = fixture.lone("succeed", { computes: true });
    await fixture.counters.reached(fixture.starts, 8);
    expect(fixture.runsOf(waiting)).toBe(0);
    holder.scope.cancel("shutdown");
    expect(await waiting.outcome).toEqual(OK);
    await holder.ended;
    fixture.expectIdle();
  });

  test("that do not start: a step that waits for them ends when they are closed", async () => {
    const startFaults = [undefined, ...Array.from({ length: 20 }, () => "exit" as const)];
    const fixture = await Fixture.start({ ...ON_DEMAND, exclusive: 1, startFaults });
    const step = fixture.lone("succeed", { computes: true });
    // The pauses between the starts are long by now, and there is no thread in them.
    await fixture.counters.reached(fixture.starts, 4);
    expect(fixture.threads.counters()).toMatchObject({ groups: 1, unsettled: 1, exclusivePermits: 1 });
    await fixture.threads.close();
    expect(await step.outcome).toEqual(canceledBy("shutdown", "none"));
    expect(() => fixture.lone("succeed")).toThrow("the threads are closed");
    expect(fixture.runsOf(step)).toBe(0);
    fixture.expectIdle();
  });
});
