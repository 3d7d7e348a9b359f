import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import { Opened, statuses } from "./opened.ts";
import type { tasks } from "./plain-tasks.ts";

type Tasks = typeof tasks;
const FILE = "./plain-tasks.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

interface Cost {
  /** CPU time of this thread, and of the whole process. */
  readonly own: number;
  readonly all: number;
}

const sum = ({ user, system }: NodeJS.CpuUsage): number => user + system;

/** Of one of `times`. */
async function costOf(times: number, act: () => Promise<unknown>): Promise<Cost> {
  const [own, all] = [process.threadCpuUsage(), process.cpuUsage()];
  await act();
  return { own: sum(process.threadCpuUsage(own)) / times, all: sum(process.cpuUsage(all)) / times };
}

/** What one costs in large numbers, as a multiple of what one costs in small ones: by turns, so that the machine is the same for both. */
async function growth(cost: (size: number) => Promise<Cost>, small: number, large: number): Promise<Cost> {
  const sums = { small: { own: 0, all: 0 }, large: { own: 0, all: 0 } };
  // The first round warms up.
  for (let round = 0; round < 3; round++) {
    for (const size of ["small", "large"] as const) {
      const { own, all } = await cost(size === "small" ? small : large);
      if (round === 0) continue;
      sums[size].own += own;
      sums[size].all += all;
    }
  }
  return { own: sums.large.own / sums.small.own, all: sums.large.all / sums.small.all };
}

test("a cancel costs the same however many tasks wait for a thread", async () => {
  // The one task that a thread may have waits, so all others do.
  await using opened = await Opened.open<Tasks>({ file: FILE, maxTasksPerThread: 1, maxGroups: 20_000 });
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  await using first = threads.group();
  first.run("sleeps", { began });
  await counters.reached(began);
  const CANCELS = 400;
  const cost = async (waiting: number): Promise<Cost> => {
    const groups = Array.from({ length: waiting + CANCELS }, () => {
      const group = threads.group();
      const task = group.run("sleeps", { began });
      return { group, task };
    });
    await turn();
    // What made those that wait is not to be paid by the cancels.
    collect();
    const each = await costOf(CANCELS, async () => {
      for (const { group, task } of groups.slice(0, CANCELS)) {
        group.cancel("aborted");
        // Each in a turn of its own.
        await task.outcome;
      }
    });
    for (const { group } of groups) group.cancel("aborted");
    const outcomes = await Promise.all(groups.map(async ({ group }) => (await group.join()).outcomes));
    expect(statuses(outcomes.flat())).toEqual({ canceled: groups.length });
    return each;
  };
  // A look at each of twenty times as many would cost more than four times as much.
  const { own } = await growth(cost, 500, 10_000);
  expect(own).toBeLessThan(3);
  expect(counters.read(began)).toBe(1);
});

test("a task of a large group costs what one of a small group costs", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  const { threads } = opened;
  const [began = 0] = opened.take(1);
  const MOST = 10_000;
  const cost = async (size: number): Promise<Cost> => {
    // As many tasks in all at one time.
    const groups = Array.from({ length: MOST / size }, () => threads.group());
    return costOf(MOST, async () => {
      // They end one after another, each behind all of its group that came later.
      for (let n = 0; n < MOST; n++) groups[n % groups.length]?.run("sleeps", { began, ms: 500 + n / 40 });
      await Promise.all(groups.map((group) => group.join()));
    });
  };
  const { own, all } = await growth(cost, 100, MOST);
  expect(own).toBeLessThan(2);
  expect(all).toBeLessThan(2);
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
      for (let n = 0; n < running; n++) beside.run("sleeps", { began });
      await counters.reached(began, before + running);
      await using group = threads.group();
      group.run("sleeps", { began });
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

test("a task that has ended holds its input no longer, though its group goes on", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  await using group = opened.threads.group();
  const runs = () => {
    const input = { began: 0, ms: 0 };
    return [group.run("sleeps", input), new WeakRef(input)] as const;
  };
  const [task, input] = runs();
  expect((await task.outcome).status).toBe("ok");
  await turn();
  collect();
  expect([task.settled, input.deref()]).toEqual([true, undefined]);
});
