import { expect, test } from "vitest";
import type { Task } from "../../../src/threads/index.ts";
import { eventually } from "../../support/eventually.ts";
import { Opened, type OpenOptions } from "./opened.ts";
import type { tasks } from "./plain-tasks.ts";

type Tasks = typeof tasks;

const open = (options: Omit<OpenOptions, "file"> = {}) => Opened.open<Tasks>({ file: "./plain-tasks.ts", graceMs: 60_000, ...options });

/** What the threads counted, all together; the threads' own counts have to add up to it, but for those that are gone. */
function counted({ threads }: Opened<Tasks>) {
  const { running, started, finished, threads: each } = threads.statistics();
  expect(each.reduce((sum, thread) => sum + thread.running, 0)).toBe(running);
  return { running, started, finished };
}

test("after every outcome, whatever it is", async () => {
  await using opened = await open({ shared: 2, exclusive: 2, exclusiveOnDemand: false });
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  const each = Array.from({ length: 24 }, (_, n) => {
    const gate = counters.take();
    const group = threads.group();
    const on = n < 2 ? "exclusive" : "shared";
    const task: Task<unknown> = group.run(n % 3 === 1 ? "fails" : "waits", { began, gate }, { on });
    const end = () => (n % 3 === 2 ? void group.cancel("superseded") : void counters.add(gate));
    return { group, task, end, ends: ["ok", "failed", "canceled"][n % 3] };
  });
  await counters.reached(began, 24);
  expect(counted(opened)).toEqual({ running: 24, started: 24, finished: 0 });
  for (const [n, { group, task, end, ends }] of each.entries()) {
    end();
    expect((await task.outcome).status).toBe(ends);
    expect(counted(opened)).toEqual({ running: 23 - n, started: 24, finished: n + 1 });
    await group.join();
  }
  expect([opened.replaced, threads.statistics().replaced]).toEqual([[], new Map()]);
  opened.expectIdle();
});

test("of tasks that are canceled on their way to a thread: they are not counted", async () => {
  await using opened = await open();
  const { threads, counters } = opened;
  const [began = 0, held = 0, gate = 0] = opened.take(3);
  const [holding, canceled] = [threads.group(), threads.group()];
  holding.run("holds", { began: held, gate });
  await counters.reached(held);
  const task = canceled.run("waits", { began, gate });
  await eventually("it was sent", () => task.threadId !== undefined);
  canceled.cancel("superseded");
  counters.add(gate);
  expect((await canceled.join()).outcomes).toMatchObject([{ status: "canceled", started: false, stopped: true }]);
  await holding.join();
  expect([counted(opened), counters.read(began)]).toEqual([{ running: 0, started: 1, finished: 1 }, 0]);
});

test("of tasks that were given up: they have finished once, also when they end after all", async () => {
  await using opened = await open({ graceMs: 10 });
  const { threads, counters } = opened;
  const [began = 0, gate = 0, other = 0, ended = 0] = opened.take(4);
  const [ignoring, beside] = [threads.group(), threads.group()];
  for (let n = 0; n < 3; n++) ignoring.run("ignores", { began, gate, ended });
  beside.run("waits", { began, gate: other });
  await counters.reached(began, 4);
  ignoring.cancel("superseded");
  for (const outcome of (await ignoring.join()).outcomes)
    expect(outcome).toMatchObject({ status: "canceled", started: true, stopped: false });
  expect(counted(opened)).toEqual({ running: 1, started: 4, finished: 3 });
  counters.add(gate);
  await counters.reached(ended, 3);
  // Its outcome comes behind what the thread says of their ends.
  const next = threads.group();
  await next.run("nothing", undefined);
  await next.join();
  expect(counted(opened)).toEqual({ running: 1, started: 5, finished: 4 });
  counters.add(other);
  await beside.join();
  opened.expectIdle();
});

test("after every death of a thread, by every way to die", async () => {
  await using opened = await open({ shared: 2 });
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  let ran = 0;
  for (const [round, way] of (["killed", "exit", "killed", "exit"] as const).entries()) {
    await opened.up(2);
    const [gate = 0] = opened.take(1);
    const groups = Array.from({ length: 20 }, () => threads.group());
    const tasks = groups.map((group) => group.run("waits", { began, gate }));
    ran += 20;
    await counters.reached(began, 20 * (round + 1));
    expect(counted(opened).running).toBe(20);
    const before = opened.replaced.length;
    await using own = threads.group();
    const exit = way === "exit" ? own.run("exits", undefined) : undefined;
    const id = exit === undefined ? threads.killThread() : undefined;
    await eventually("the death was told", () => opened.replaced.length > before);
    const died = exit === undefined ? id : exit.threadId;
    if (exit !== undefined) ran += (await exit.outcome).status === "lost" ? 1 : 0;
    const lost = tasks.filter((task) => task.settled);
    // All of one thread, none of the other.
    expect(lost.length).toBeGreaterThan(0);
    expect(tasks.filter(({ threadId }) => threadId === died)).toEqual(lost);
    for (const { outcome } of lost) expect(await outcome).toMatchObject({ status: "lost", started: true });
    expect(counted(opened)).toEqual({ running: 20 - lost.length, started: ran, finished: ran - 20 + lost.length });
    counters.add(gate);
    for (const group of groups) await group.join();
    expect(counted(opened)).toEqual({ running: 0, started: ran, finished: ran });
  }
  expect(opened.replaced).toEqual(["killed", "exit", "killed", "exit"]);
  expect(threads.statistics().replaced).toEqual(
    new Map([
      ["killed", 2],
      ["exit", 2],
    ]),
  );
  opened.expectIdle();
});
