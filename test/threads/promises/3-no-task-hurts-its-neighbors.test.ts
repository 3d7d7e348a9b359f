import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Opened, type OpenOptions, statuses } from "./opened.ts";
import type { tasks as defined } from "./plain-tasks.ts";

type Tasks = typeof defined;

const open = (options: Omit<OpenOptions, "file"> = {}) => Opened.open<Tasks>({ file: "./plain-tasks.ts", ...options });

// Longer than the watch of the threads takes to end one that it takes for held up.
const WATCHED_MS = 1_600;
const STUCK_MS = 2_500;

describe.concurrent("beside a hundred tasks that wait", () => {
  const NEIGHBORS = 100;

  /** Runs `act` beside them; all of them end well on threads that were not replaced meanwhile. */
  async function beside(opened: Opened<Tasks>, act: () => Promise<void>): Promise<void> {
    const { threads, counters } = opened;
    const [began = 0, gate = 0] = opened.take(2);
    const neighbors = threads.group();
    for (let n = 0; n < NEIGHBORS; n++) neighbors.run("waits", { began, gate });
    await counters.reached(began, NEIGHBORS);
    try {
      await act();
    } finally {
      counters.add(gate);
    }
    expect(statuses((await neighbors.join()).outcomes)).toEqual({ ok: NEIGHBORS });
  }

  test.each([0, 1, 10])("with a grace of %i ms no thread is replaced for tasks that hear their cancel", async (graceMs) => {
    await using opened = await open({ shared: 2, graceMs });
    let cancels = 0;
    await beside(opened, async () => {
      const [began = 0] = opened.take(1);
      const end = performance.now() + WATCHED_MS;
      while (performance.now() < end || cancels < 40) {
        const group = opened.threads.group();
        const task = group.run("sleeps", { began });
        await opened.counters.reached(began, ++cancels);
        group.cancel("superseded");
        expect(await task.outcome).toMatchObject({ status: "canceled", started: true });
        await group.join();
        await pause(10);
      }
    });
    expect(cancels).toBeGreaterThanOrEqual(40);
    expect(opened.replaced).toEqual([]);
  });

  test("tasks that ignore their cancel cost no thread and no neighbor", async () => {
    await using opened = await open({ graceMs: 10 });
    const { threads, counters } = opened;
    const [first] = threads.statistics().threads;
    const [began = 0, gate = 0, ended = 0] = opened.take(3);
    await beside(opened, async () => {
      const group = threads.group();
      for (let n = 0; n < 20; n++) group.run("ignores", { began, gate, ended });
      await counters.reached(began, 20);
      group.cancel("superseded");
      const { outcomes } = await group.join();
      expect(outcomes.every((outcome) => outcome.status === "canceled" && !outcome.stopped)).toBe(true);
      await pause(WATCHED_MS);
      // The thread takes tasks as before.
      await using next = threads.group();
      const task = next.run("reads", began);
      expect([await task, task.threadId]).toEqual([20, first?.id]);
      expect(threads.statistics().threads).toHaveLength(1);
    });
    expect(opened.replaced).toEqual([]);
    counters.add(gate);
  });

  test("where too many ignore it their thread gets no more tasks, and ends when the others on it have", async () => {
    await using opened = await open({ graceMs: 10, maxGivenUp: 5 });
    const { threads, counters } = opened;
    const [began = 0, gate = 0, ended = 0] = opened.take(3);
    const [first] = threads.statistics().threads;
    await beside(opened, async () => {
      const group = threads.group();
      for (let n = 0; n < 5; n++) group.run("ignores", { began, gate, ended });
      await counters.reached(began, 5);
      group.cancel("superseded");
      await group.join();
      await opened.up(2);
      await using next = threads.group();
      const task = next.run("reads", began);
      expect([await task, task.threadId === first?.id]).toEqual([5, false]);
      expect(opened.replaced).toEqual([]);
    });
    await opened.up(1);
    expect([opened.replaced, threads.statistics().threads[0]?.id === first?.id]).toEqual([["grace"], false]);
    opened.expectIdle();
  });

  test("a task that stands still for less than a second costs no thread, canceled or not", async () => {
    await using opened = await open({ graceMs: 1 });
    const [began = 0] = opened.take(1);
    await beside(opened, async () => {
      for (const canceled of [false, true]) {
        const group = opened.threads.group();
        const task = group.run("blocks", { ms: 700, began });
        await opened.counters.reached(began, canceled ? 2 : 1);
        if (canceled) group.cancel("superseded");
        expect((await task.outcome).status).toBe(canceled ? "canceled" : "ok");
        await group.join();
      }
    });
    expect(opened.replaced).toEqual([]);
  });
});

describe.concurrent("of a thread on which nothing moves", () => {
  test("a task that holds the event loop is found though it looks whether it was canceled: its neighbors run elsewhere", async () => {
    await using opened = await open();
    const { threads, counters } = opened;
    const [began = 0, arrived = 0, gate = 0] = opened.take(3);
    const [holding, innocent] = [threads.group(), threads.group()];
    const neighbor = innocent.run("waits", { began: arrived, gate }, { idempotent: true });
    await counters.reached(arrived);
    const holder = holding.run("computesInMicrotasks", began);
    await counters.reached(began);
    counters.add(gate);
    expect(await holder.outcome).toEqual({ status: "lost", reason: "thread ended: heartbeat", started: true });
    expect((await neighbor.outcome).status).toBe("ok");
    for (const group of [holding, innocent]) await group.join();
    expect([opened.replaced, counters.read(arrived), counters.read(began)]).toEqual([["heartbeat"], 2, 1]);
    opened.expectIdle();
  });

  test("a task that has the thread for itself computes for as long as nobody cancels it", async () => {
    await using opened = await open({ shared: 0, exclusive: 1, graceMs: 1 });
    const [ended = 0] = opened.take(1);
    await using group = opened.threads.group();
    const task = group.run("computes", { ms: STUCK_MS, ended }, { on: "exclusive" });
    expect((await task.outcome).status).toBe("ok");
    expect(opened.replaced).toEqual([]);
  });

  test("a task that has the thread for itself keeps its value, though that takes as long to copy", async () => {
    await using opened = await open({ shared: 0, exclusive: 1 });
    await using group = opened.threads.group();
    const task = group.run("copiesFor", STUCK_MS, { on: "exclusive" });
    expect(await task.outcome).toEqual({ status: "ok", value: { copied: STUCK_MS } });
    expect(opened.replaced).toEqual([]);
  });

  const LONGEST_MS = 2 ** 31 - 1;

  test("the longest time-out and grace that there are do not pass for the shortest", async () => {
    await using opened = await open({ graceMs: LONGEST_MS, startTimeoutMs: LONGEST_MS });
    const { threads, counters } = opened;
    const [began = 0, gate = 0, ended = 0] = opened.take(3);
    const group = threads.group({ timeoutMs: LONGEST_MS });
    const task = group.run("ignores", { began, gate, ended });
    await counters.reached(began);
    await pause(WATCHED_MS / 2);
    expect(group.scope.cause).toBeUndefined();
    group.cancel("superseded");
    await pause(WATCHED_MS / 2);
    expect([task.settled, opened.replaced]).toEqual([false, []]);
    counters.add(gate);
    expect((await task.outcome).status).toBe("ok");
    await group.join();
  });

  test.each([
    ["graceMs", { graceMs: LONGEST_MS + 1 }],
    ["startTimeoutMs", { startTimeoutMs: LONGEST_MS + 1 }],
  ])("%s is refused where no timer holds it", async (name, options) => {
    await expect(open(options)).rejects.toThrow(
      new RegExp(`^${name} must be a whole number from \\d to ${LONGEST_MS}, not ${LONGEST_MS + 1}$`),
    );
  });
});

test("an input for which no thread has room ends three of them, and what was sent with it and behind it runs", async () => {
  await using opened = await open({ heapMb: 16 });
  const { threads, counters } = opened;
  const [began = 0, gate = 0] = opened.take(2);
  const innocent = threads.group();
  const waits = () => innocent.run("waits", { began, gate });
  await using guilty = threads.group();
  const large = guilty.run("nothing", Array.from({ length: 1_000_000 }, (_, n) => ({ n })) as never);
  // In the same message, which is read as a whole or not at all, and in the next one.
  waits();
  await turn();
  waits();
  expect(await large.outcome).toEqual({ status: "lost", reason: expect.stringMatching("thread ended: "), started: false });
  expect(opened.replaced).toHaveLength(3);
  counters.add(gate);
  expect(statuses((await innocent.join()).outcomes)).toEqual({ ok: 2 });
  expect([opened.replaced.length, counters.read(began)]).toEqual([3, 2]);
});
