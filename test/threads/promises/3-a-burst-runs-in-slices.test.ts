import { setTimeout as pause } from "node:timers/promises";
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
