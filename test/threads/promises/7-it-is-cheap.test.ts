import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import type { tasks } from "./cheap-tasks.ts";
import { Opened, statuses } from "./opened.ts";

type Tasks = typeof tasks;
const FILE = "./cheap-tasks.ts";
const LONG_MS = 600_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const cpuUs = () => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};

/** What one costs in large numbers, as a multiple of what one costs in small ones: by turns, so that the machine is the same for both. */
async function growth(cost: (size: number) => Promise<number>, small: number, large: number): Promise<number> {
  const sums = { small: 0, large: 0 };
  // The first round warms up.
  for (let round = 0; round < 3; round++) {
    const costs = { small: await cost(small), large: await cost(large) };
    if (round === 0) continue;
    sums.small += costs.small;
    sums.large += costs.large;
  }
  return sums.large / sums.small;
}

test("a cancel costs the same however many tasks wait for a thread", async () => {
  // The one task that a thread may have waits, so all others do.
  await using opened = await Opened.open<Tasks>({ file: FILE, maxTasksPerThread: 1, maxGroups: 30_000 });
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  await using first = threads.group();
  first.run("sleeps", { began, ms: LONG_MS });
  await counters.reached(began);
  const CANCELS = 400;
  const cost = async (waiting: number): Promise<number> => {
    const groups = Array.from({ length: waiting + CANCELS }, () => {
      const group = threads.group();
      const task = group.run("sleeps", { began, ms: LONG_MS });
      return { group, task };
    });
    await turn();
    // What made those that wait is not to be paid by the cancels.
    collect();
    const before = cpuUs();
    for (const { group, task } of groups.slice(0, CANCELS)) {
      group.cancel("aborted");
      // Each in a turn of its own.
      await task.outcome;
    }
    const each = (cpuUs() - before) / CANCELS;
    for (const { group } of groups) group.cancel("aborted");
    const outcomes = await Promise.all(groups.map(async ({ group }) => (await group.join()).outcomes));
    expect(statuses(outcomes.flat())).toEqual({ canceled: groups.length });
    return each;
  };
  // Of twenty times as many a look at each would cost some ten times as much, for the rest of a cancel costs something, too.
  expect(await growth(cost, 1_000, 20_000)).toBeLessThan(4);
  expect(counters.read(began)).toBe(1);
});

test("a task of a large group costs what one of a small group costs", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  const { threads } = opened;
  const [began = 0] = opened.take(1);
  const MOST = 10_000;
  const cost = async (size: number): Promise<number> => {
    // As many tasks in all at one time.
    const groups = Array.from({ length: MOST / size }, () => threads.group());
    const before = process.cpuUsage();
    for (let n = 0; n < MOST; n++) {
      // They end one after another, each behind all of its group that came later.
      groups[n % groups.length]?.run("sleeps", { began, ms: 500 + n / 40 });
    }
    await Promise.all(groups.map((group) => group.join()));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / MOST;
  };
  expect(await growth(cost, 100, MOST)).toBeLessThan(2);
  opened.expectIdle();
});

test("a cancel wakes the threads that run something, and no other", async () => {
  const shared = 6;
  await using opened = await Opened.open<Tasks>({ file: FILE, shared });
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  const notify = vi.spyOn(Atomics, "notify");
  try {
    for (const running of [1, 3, 4]) {
      const before = counters.read(began);
      await using beside = threads.group();
      for (let n = 0; n < running; n++) beside.run("sleeps", { began, ms: LONG_MS });
      await counters.reached(began, before + running);
      await using group = threads.group();
      group.run("sleeps", { began, ms: LONG_MS });
      await counters.reached(began, before + running + 1);
      const busy = threads.statistics().threads.filter((thread) => thread.running > 0).length;
      notify.mockClear();
      group.cancel("aborted");
      const woken = notify.mock.calls.length;
      expect(busy).toBeLessThanOrEqual(running + 1);
      expect(woken).toBeLessThanOrEqual(busy);
      // The canceled task may have heard before it was its thread's turn to be woken. None of the others has ended.
      expect(woken).toBeGreaterThanOrEqual(Math.max(1, busy - 1));
      await group.join();
    }
  } finally {
    notify.mockRestore();
  }
});
