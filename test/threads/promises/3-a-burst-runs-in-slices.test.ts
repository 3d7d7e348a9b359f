import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Opened, statuses } from "./opened.ts";
import type { tasks } from "./plain-tasks.ts";

type Tasks = typeof tasks;
const FILE = "./plain-tasks.ts";

test("a short task beside thousands waits for few of them, and they give their outcomes one by one", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  const { threads, counters } = opened;
  const [ended = 0] = opened.take(1);
  const BURST = 600;
  await using group = threads.group();
  const burst = Array.from({ length: BURST }, () => group.run("computes", { ms: 1, ended }));
  await burst[0];
  expect(counters.read(ended)).toBeLessThan(BURST / 4);
  await using beside = threads.group();
  const waitedFor: number[] = [];
  while (waitedFor.length < 20) {
    const before = counters.read(ended);
    waitedFor.push((await beside.run("reads", ended)) - before);
  }
  // All twenty were served while most of the others waited.
  expect(counters.read(ended)).toBeLessThan(BURST);
  expect(waitedFor.toSorted((a, b) => a - b)[10]).toBeLessThan(BURST / 20);
  expect(statuses((await group.join()).outcomes)).toEqual({ ok: BURST });
});

test("none of many tasks waits for ever, however many come behind it", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE });
  const { threads } = opened;
  const [old = 0, young = 0] = opened.take(2);
  const CLIENTS = 100;
  const MOST = 1_500;
  await using group = threads.group();
  const burst = Array.from({ length: 100 }, () => group.run("computes", { ms: 1, ended: old }));
  const last = burst.at(-1);
  // What is run in the same turn would go in the same message.
  await burst[0];
  await using behind = threads.group();
  let come = 0;
  const client = async () => {
    // Each in a message of its own. Always so many wait that the thread has nothing to do for the burst.
    while (last?.settled === false && come < MOST) {
      come++;
      await behind.run("computes", { ms: 1, ended: young });
    }
  };
  const clients: Promise<void>[] = [];
  while (clients.length < CLIENTS) {
    clients.push(client());
    await turn();
  }
  expect(statuses((await group.join()).outcomes)).toEqual({ ok: 100 });
  await Promise.all(clients);
  expect(come).toBeGreaterThanOrEqual(CLIENTS);
  expect(come).toBeLessThan(MOST);
});

test("none of thousands is lost because clients hang up, nor because a task is there that ignores its cancel", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE, graceMs: 10 });
  const { threads, counters } = opened;
  const [ended = 0, began = 0, gate = 0, ignored = 0] = opened.take(4);
  const ignoring = threads.group();
  ignoring.run("ignores", { began, gate, ended: ignored });
  const clients = Array.from({ length: 40 }, () => {
    const group = threads.group();
    group.run("sleeps", { began });
    return group;
  });
  await counters.reached(began, 41);
  await using group = threads.group();
  const burst = Array.from({ length: 2_000 }, () => group.run("computes", { ms: 1, ended }));
  await counters.reached(ended, 20);
  ignoring.cancel("superseded");
  for (const client of clients) {
    await pause(20);
    client.cancel("aborted");
  }
  const hungUp = await Promise.all(clients.map((client) => client.join()));
  expect(statuses(hungUp.flatMap(({ outcomes }) => outcomes))).toEqual({ canceled: 40 });
  expect((await ignoring.join()).outcomes).toMatchObject([{ status: "canceled", started: true, stopped: false }]);
  expect(statuses(await Promise.all(burst.map(({ outcome }) => outcome)))).toEqual({ ok: 2_000 });
  expect(opened.replaced).toEqual([]);
  counters.add(gate);
});

test("none of thousands is lost that waited for a thread that died, while clients hang up", async () => {
  await using opened = await Opened.open<Tasks>({ file: FILE, graceMs: 10 });
  const { threads, counters } = opened;
  const [ended = 0, began = 0] = opened.take(2);
  threads.killThread();
  const clients = Array.from({ length: 50 }, () => {
    const group = threads.group();
    group.run("sleeps", { began });
    return group;
  });
  await using group = threads.group();
  for (let n = 0; n < 6_000; n++) group.run("computes", { ms: 0.1, ended });
  await counters.reached(began, clients.length);
  const left = 6_000 - counters.read(ended);
  for (const client of clients) {
    client.cancel("aborted");
    await pause(5);
  }
  await Promise.all(clients.map((client) => client.join()));
  expect(left).toBeGreaterThan(0);
  expect(statuses((await group.join()).outcomes)).toEqual({ ok: 6_000 });
  expect(opened.replaced).toEqual(["killed"]);
});
