import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SnapshotState } from "../../src/diagnosis/snapshot-state.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { CancellationWatchdog } from "../../src/threads/cancellation-watchdog.ts";
import type { DispatchedStep } from "../../src/threads/dispatched-step.ts";
import { Layout } from "../../src/threads/layout.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import { ALIVE_MS, Tracker } from "../../src/threads/tracker.ts";
import { eventually } from "../support/eventually.ts";
import { newStep } from "./new-step.ts";

const GRACE_MS = 30;

let layout: Layout;
let board: CancelBoard;
let tracker: Tracker;
let thread: PoolThread;
let killed: PoolThread[];
let givenUp: DispatchedStep[];
let watch: CancellationWatchdog;

beforeEach(() => {
  layout = Layout.allocate({ slots: 1, rows: 2 });
  board = CancelBoard.create(layout);
  tracker = new Tracker(layout);
  thread = newThread(1);
  killed = [];
  givenUp = [];
  watch = watchdog(GRACE_MS);
});

function newThread(id: number): PoolThread {
  const terminate = async () => killed.push(one);
  const one: PoolThread = new PoolThread({ threadId: id, terminate } as unknown as Worker);
  one.row = tracker.claim(id);
  // Long ago: it says no more of itself than a test has it say.
  new Tracker(new Layout({ ...layout.handle, epochMs: layout.handle.epochMs + 60_000 })).beat(one.row);
  return one;
}

function watchdog(graceMs: number): CancellationWatchdog {
  return new CancellationWatchdog({ graceMs, board, tracker, giveUp: (step) => void givenUp.push(step) });
}

afterEach(() => {
  watch.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function stepOn(on: PoolThread | undefined): DispatchedStep {
  const step = newStep();
  step.thread = on;
  return step;
}

/** Cancels the group and has the thread act on its bell or not. */
function cancel(heard: boolean): void {
  board.cancel(0, 0, "deadline");
  if (heard) board.acknowledge(0, board.head());
}

const past = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function stall(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("a judgment that comes late gives the grace again, and then is carried out", async () => {
  cancel(true);
  watch.watch([stepOn(thread)]);
  stall(2 * GRACE_MS);
  // The late timer fires before this one, which was not set yet when it was due, and is judged within two turns.
  await past(1);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect([killed, watch.size]).toEqual([[], 1]);
  await eventually("the second judgment", () => killed.length > 0);
  expect([killed, watch.size]).toEqual([[thread], 0]);
});

test("stalls are no excuse for ever", async () => {
  cancel(true);
  watch.watch([stepOn(thread)]);
  let stalls = 0;
  for (; killed.length === 0 && stalls < 50; stalls++) {
    stall(2 * GRACE_MS);
    await past(1);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
  expect(killed).toEqual([thread]);
  expect(stalls).toBeGreaterThan(1);
});

test("a step that settled, or was never sent, condemns nobody", async () => {
  cancel(true);
  const settled = stepOn(thread);
  watch.watch([settled, stepOn(undefined)]);
  settled.settle({ status: "ok" });
  await eventually("the judgment", () => watch.size === 0);
  expect(killed).toEqual([]);
});

test("a thread that beats but did not act on its bell is spared until it does", async () => {
  cancel(false);
  watch.watch([stepOn(thread)]);
  const beats = setInterval(() => tracker.beat(0), 5);
  try {
    await past(3 * GRACE_MS);
    expect([killed, watch.size]).toEqual([[], 1]);
    board.acknowledge(0, board.head());
    await eventually("the judgment", () => givenUp.length > 0);
    expect([killed, givenUp.length, watch.size]).toEqual([[], 1, 0]);
  } finally {
    clearInterval(beats);
  }
});

test("a busy event loop, whose turns are far shorter than the grace, gives no second one", async () => {
  const GRACE = 400;
  watch = watchdog(GRACE);
  cancel(true);
  watch.watch([stepOn(thread)]);
  let turns = 0;
  // By turns and not by the clock: the timer comes late by one of them, whatever the machine makes of it.
  for (; killed.length === 0 && turns < 200; turns++) {
    stall(GRACE / 20);
    await past(1);
  }
  expect(killed).toEqual([thread]);
  expect(turns).toBeLessThan(1.5 * 20);
});

test("a stuck step does not take the living thread of another step of its order along", async () => {
  const [stuck, living] = [thread, newThread(2)];
  board.cancel(0, 0, "deadline");
  // The one has come to the bell and ignores it, the other has not come yet but beats.
  board.acknowledge(0, board.head());
  const beats = setInterval(() => tracker.beat(1), 5);
  try {
    watch.watch([stepOn(stuck), stepOn(living)]);
    await eventually("the first judgment", () => killed.length > 0);
    await past(3 * GRACE_MS);
    expect([killed, watch.size]).toEqual([[stuck], 1]);
  } finally {
    clearInterval(beats);
  }
});

test("a thread that stands still for a heap snapshot is spared however long that takes, and judged by a whole grace afterwards", async () => {
  cancel(true);
  const snapshot = new SnapshotState();
  thread.snapshot = snapshot;
  snapshot.begin();
  watch.watch([stepOn(thread)]);
  // More often than an overloaded thread would be.
  await past(12 * GRACE_MS);
  expect([killed, watch.size]).toEqual([[], 1]);
  snapshot.taken();
  await eventually("the judgment", () => killed.length > 0);
  expect([killed, watch.size]).toEqual([[thread], 0]);
});

test("steps on a thread that has acted on its bell and beats are given up, one by one; a thread that does not beat is killed", async () => {
  const silent = newThread(2);
  board.cancel(0, 0, "deadline");
  for (const row of [0, 1]) board.acknowledge(row, board.head());
  const steps = [stepOn(thread), stepOn(silent), stepOn(thread)];
  watch.watch(steps);
  tracker.beat(0);
  await eventually("the judgment", () => watch.size === 0);
  expect([givenUp, killed]).toEqual([[steps[0], steps[2]], [silent]]);
});

/** Puts the clocks and timers under the test's control: no judgment then depends on how busy the machine is. */
function controlTime(): { pass(ms: number): void; fire(): void } {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] });
  // Whole numbers: a grace that has passed is not short of a fraction.
  let nowMs = 1_000;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  vi.spyOn(process, "hrtime").mockImplementation(() => [0, (layout.handle.epochMs + nowMs) * 1e6]);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { pass, fire: () => void vi.advanceTimersToNextTimer() };
}

test("what counts as late is the timer that fires, not the judgment after it", () => {
  const { pass, fire } = controlTime();
  cancel(true);
  watch.watch([stepOn(thread)]);
  pass(GRACE_MS);
  fire();
  pass(2 * GRACE_MS);
  // The judgment is two turns after the timer.
  fire();
  expect(killed).toEqual([]);
  fire();
  expect([killed, watch.size]).toEqual([[thread], 0]);
});

/** Lets what is left of a grace pass, and the two turns to the judgment. */
function judgment({ pass, fire }: ReturnType<typeof controlTime>, leftMs: number): void {
  pass(leftMs);
  for (let turn = 0; turn < 3; turn++) fire();
}

test("a thread that has beaten since its cancel, though long ago, gets the grace again while it has not acted on its bell", () => {
  const graceMs = 3 * ALIVE_MS;
  const time = controlTime();
  watch = watchdog(graceMs);
  cancel(false);
  watch.watch([stepOn(thread)]);
  time.pass(10);
  tracker.beat(0);
  judgment(time, graceMs - 10);
  expect([killed, watch.size]).toEqual([[], 1]);
  judgment(time, graceMs);
  expect([killed, watch.size]).toEqual([[thread], 0]);
});

test("a thread that beat shortly before its cancel, and then no more, gets the grace again until that beat is old", () => {
  const time = controlTime();
  tracker.beat(0);
  time.pass(GRACE_MS / 2);
  cancel(false);
  watch.watch([stepOn(thread)]);
  let judgments = 0;
  for (; killed.length === 0 && judgments < 20; judgments++) judgment(time, GRACE_MS);
  expect(killed).toEqual([thread]);
  expect(judgments).toBe(Math.ceil((ALIVE_MS - GRACE_MS / 2) / GRACE_MS));
});
