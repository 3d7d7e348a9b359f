import type { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import type { ReplaceReason } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";
import { lost, OK } from "./recovery.ts";
import type { StartFault } from "./script.ts";

/** Only of a thread that had come up it is said that it was replaced. `others`: of which that was said besides. */
function expectTold(fixture: Fixture, fault: StartFault, count: number, others: readonly ReplaceReason[] = []): void {
  const exits = Array.from({ length: fault === "exit_after_ready" ? count : 0 }, () => "exit");
  // One that says that it is ready and dies may be counted as up for a moment, or not.
  expect([...others, ...exits].slice(0, fixture.replacements.length)).toEqual(fixture.reasons());
  expect(fixture.reasons().length).toBeGreaterThanOrEqual(others.length);
  const why = fault === "throw" ? "this thread does not start" : `worker exited with code: ${fault === "exit" ? 3 : 4}`;
  const crashes = Array.from({ length: count - (fault === "exit_after_ready" ? fixture.reasons().length - others.length : 0) });
  expect(fixture.faults).toEqual(crashes.fill(`a thread crashed while it started: Error: ${why}`));
}

/** On a slow machine it may have been too little time for a thread that does not hang, too. */
function expectHungOnes({ faults }: Fixture): void {
  expect(new Set(faults)).toEqual(new Set(["a thread was ended before it came up: heartbeat"]));
}

describe("a thread that dies while it starts", () => {
  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, at the first start: all come up in the end", async (fault) => {
    await using fixture = await Fixture.start({ shared: 2, startFaults: [fault, undefined, fault] });
    // A thread that dies after it said that it is ready may be counted as up for a moment.
    await fixture.counters.reached(fixture.starts, 5);
    await fixture.allThreadsUp();
    expectTold(fixture, fault, 2);
    for (let n = 0; n < 4; n++) expect(await fixture.lone("succeed", { computes: n % 2 === 0 }).outcome).toEqual(OK);
    fixture.expectIdle();
  });

  test.each(["exit", "throw", "exit_after_ready"] as const)("by %s, as a replacement: is replaced in turn", async (fault) => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults: [undefined, undefined, fault, fault] });
    const victim = await fixture.running("wait");
    fixture.threads.killThread();
    expect(await victim.outcome).toEqual(lost("killed"));
    // Waits through all the failed starts.
    const next = fixture.lone("succeed");
    expect(await next.outcome).toEqual(OK);
    expect(fixture.runsOf(next)).toBe(1);
    fixture.expectIdle();
    await fixture.allThreadsUp();
    expectTold(fixture, fault, 2, ["killed"]);

    // And replacing goes on working after that: Piscina by itself would have given up.
    for (let n = 0; n < 2; n++) {
      const again = await fixture.running("exit");
      expect(await again.outcome).toEqual(lost("exit"));
      expect(await fixture.lone("succeed").outcome).toEqual(OK);
    }
    fixture.expectIdle();
  });

  test("after it claimed its row and before it said so: the row is free again", async () => {
    // No pool has so many of them in a row that its start fails.
    const startFaults = Array.from({ length: 5 }, () => "exit_before_ready" as const);
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults });
    expect(fixture.counters.read(fixture.starts)).toBe(startFaults.length + 2);
    const counting = fixture.lone("count_rows");
    expect(await counting.outcome).toEqual(OK);
    expect(fixture.counters.read(counting.script.gate)).toBe(2);
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("terminated from outside while it loads: is replaced, and nobody else", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker) => workers.push(worker);
    process.on("worker", onWorker);
    try {
      await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startFaults: [undefined, undefined, "wait_at_gate"] });
      expect(workers).toHaveLength(2);
      const elsewhere = await fixture.running("wait", { computes: true });
      const victim = fixture.lone("exit");
      expect(await victim.outcome).toEqual(lost("exit"));
      await eventually("the replacement to load", () => fixture.counters.read(fixture.starts) === 3);
      expect(workers).toHaveLength(3);
      const waiting = fixture.lone("succeed");
      await workers[2]?.terminate();
      expect(await waiting.outcome).toEqual(OK);
      fixture.open(elsewhere);
      expect(await elsewhere.outcome).toEqual(OK);
      fixture.expectIdle();
      expect(fixture.reasons()).toEqual(["exit"]);
      await fixture.allThreadsUp();
      expect(workers).toHaveLength(4);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("that hangs while it loads, as a replacement: is replaced in turn, and what waits for a thread runs then", async () => {
    await using fixture = await Fixture.start({
      shared: 1,
      exclusive: 1,
      startTimeoutMs: 3_000,
      startFaults: [undefined, undefined, "wait_at_gate"],
    });
    const victim = await fixture.running("wait");
    fixture.threads.killThread();
    expect(await victim.outcome).toEqual(lost("killed"));
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    fixture.expectIdle();
    await fixture.allThreadsUp();
    expect(fixture.reasons()).toEqual(["killed"]);
    expectHungOnes(fixture);
  });

  test("that hangs while it loads, at the first start: another takes its place; if all hang, the start fails", async () => {
    await using fixture = await Fixture.start({ shared: 1, exclusive: 1, startTimeoutMs: 3_000, startFaults: ["wait_at_gate"] });
    expect(fixture.replacements).toEqual([]);
    expectHungOnes(fixture);
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
    const hang = Fixture.start({
      shared: 5,
      exclusive: 1,
      startTimeoutMs: 1_000,
      startFaults: Array.from({ length: 12 }, () => "wait_at_gate"),
    });
    await expect(hang).rejects.toThrow("pool do not start: they do not load in time");
  });

  test("the first threads terminated at once: others come up", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker) => {
      workers.push(worker);
      if (workers.length <= 2) void worker.terminate();
    };
    process.on("worker", onWorker);
    try {
      await using fixture = await Fixture.start({ shared: 1, exclusive: 1 });
      expect(workers.length).toBeGreaterThan(2);
      expect(await fixture.lone("succeed").outcome).toEqual(OK);
      expect(await fixture.lone("succeed", { computes: true }).outcome).toEqual(OK);
      fixture.expectIdle();
      expect(fixture.replacements).toEqual([]);
    } finally {
      process.off("worker", onWorker);
    }
  });

  test("starting threads are not offered to killThread", async () => {
    await using fixture = await Fixture.start({
      shared: 1,
      exclusive: 1,
      startFaults: [undefined, undefined, "wait_at_gate", "wait_at_gate"],
    });
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
