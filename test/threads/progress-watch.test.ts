import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINISHED, HEARTBEAT, Layout, STARTED } from "../../src/threads/layout.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import type { PoolName } from "../../src/threads/pool-threads.ts";
import { ProgressWatch, type WatchedPool } from "../../src/threads/progress-watch.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { ManualClock } from "./manual-clock.ts";

const LOOK_MS = 250;
const START_LOOKS = 8;
const MAX_GIVEN_UP = 3;

let clock: ManualClock;
let layout: Layout;
let tracker: Tracker;
let pools: Record<PoolName, PoolThread[]>;
let killed: (readonly [thread: PoolThread, reason: string | undefined])[];
/** One entry for each call: the pool knows whom it has set aside. */
let setAside: PoolThread[];
let watch: ProgressWatch;

beforeEach(() => {
  clock = new ManualClock();
  layout = Layout.allocate({ slots: 1, rows: 4 });
  tracker = new Tracker(layout);
  pools = { shared: [], exclusive: [] };
  [killed, setAside] = [[], []];
  const watched = (name: PoolName, maxGivenUp: number): WatchedPool => ({
    name,
    maxGivenUp,
    all: () => new Set(pools[name]).values(),
    setAside: (thread) => void setAside.push(thread),
  });
  watch = new ProgressWatch(
    tracker,
    [watched("shared", MAX_GIVEN_UP), watched("exclusive", Number.POSITIVE_INFINITY)],
    START_LOOKS * LOOK_MS,
    clock,
  );
});

afterEach(() => {
  for (const thread of Object.values(pools).flat()) thread.closePort();
});

/** A thread of the pool; up, with a row of its own, unless it is still loading. */
function threadOf(pool: PoolName, { loading = false } = {}): PoolThread {
  const thread: PoolThread = new PoolThread({ message() {}, unreadable() {}, killed: () => killed.push([thread, thread.leaving]) });
  if (!loading) comeUp(thread);
  pools[pool].push(thread);
  return thread;
}

function comeUp(thread: PoolThread): void {
  thread.row = tracker.claim(layout.handle.rows + 1 + pools.shared.length);
}

/** What a thread that lives writes into its row. */
function move(thread: PoolThread, field: number = HEARTBEAT): void {
  Atomics.add(layout.words, layout.rowAt(thread.row as number, field), 1);
}

function looks(count: number, between = (_look: number) => {}): void {
  for (let look = 1; look <= count; look++) {
    clock.pass(LOOK_MS);
    between(look);
  }
}

test("looks four times a second, once for a stop of the whole process however long, and no more once closed", () => {
  const thread = threadOf("shared", { loading: true });
  clock.pass(START_LOOKS * LOOK_MS - 1);
  clock.stall(3_600_000);
  clock.fire();
  expect(killed).toEqual([]);
  clock.pass(LOOK_MS - 1);
  expect(killed).toEqual([]);
  clock.pass(1);
  expect([killed, clock.timers]).toEqual([[[thread, "heartbeat"]], 1]);
  watch.close();
  expect(clock.timers).toBe(0);
});

test("each look reads the counters too, so that a word that wraps later is not taken for one that has not", () => {
  const thread = threadOf("shared");
  const setWords = (value: number) => {
    for (const field of [STARTED, FINISHED]) layout.words[layout.rowAt(thread.row as number, field)] = value;
  };
  setWords(-1);
  looks(1);
  setWords(5);
  expect(tracker.totals()).toMatchObject({ started: 2 ** 32 + 5, finished: 2 ** 32 + 5 });
});

describe("a shared thread", () => {
  test.each([
    ["its event loop turns", HEARTBEAT],
    ["a task begins", STARTED],
    ["a task ends", FINISHED],
  ])("is well where %s between any eight looks; one that stands still is replaced at the next, once", (_what, field) => {
    const [living, still] = [threadOf("shared"), threadOf("shared")];
    looks(8, (look) => look === 8 && move(living, field));
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[still, "heartbeat"]]);
    looks(40, (look) => look % 8 === 7 && move(living, field));
    expect(killed).toEqual([[still, "heartbeat"]]);
    looks(8);
    expect(killed).toEqual([
      [still, "heartbeat"],
      [living, "heartbeat"],
    ]);
  });

  test("is held while nothing has moved for two looks: it is the last choice for a task", () => {
    const thread = threadOf("shared");
    const held: boolean[] = [];
    looks(7, (look) => {
      held.push(thread.isStill);
      if (look === 5) move(thread);
    });
    expect(held).toEqual([false, false, true, true, true, false, false]);
    looks(1);
    expect(thread.isStill).toBe(true);
  });

  test.each([0, 4])("that stands still, for %i looks already when a task on it is given up, is replaced a second later", (before) => {
    const thread = threadOf("shared");
    looks(before);
    thread.givenUpTasks.add("stubborn");
    looks(4);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "grace"]]);
  });

  test("costs nobody else anything while it moves, whatever ignores its cancel; until it stands still", () => {
    const thread = threadOf("shared");
    for (let n = 1; n < MAX_GIVEN_UP; n++) thread.givenUpTasks.add(`stubborn ${n}`);
    looks(40, (look) => look % 4 === 0 && move(thread));
    expect([killed, setAside]).toEqual([[], []]);
    looks(4);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "grace"]]);
  });

  test("that has answered for what was given up has its two seconds again", () => {
    const thread = threadOf("shared");
    thread.givenUpTasks.add("late");
    looks(4);
    thread.givenUpTasks.delete("late");
    looks(4);
    expect(killed).toEqual([]);
    thread.givenUpTasks.add("another");
    looks(1);
    expect(killed).toEqual([[thread, "heartbeat"]]);
  });
});

/** A shared thread with as many tasks that were given up as it may have. */
function crowded(): PoolThread {
  const thread = threadOf("shared");
  for (let n = 0; n < MAX_GIVEN_UP; n++) thread.givenUpTasks.add(`stubborn ${n}`);
  return thread;
}

describe("tasks that have piled up on a shared thread", () => {
  test("set it aside when it has answered for none of them within a second, though it is well; the second counts anew where it has", () => {
    const thread = crowded();
    looks(4, () => move(thread));
    thread.givenUpTasks.delete("stubborn 0");
    looks(1, () => move(thread));
    thread.givenUpTasks.add("another");
    looks(4, () => move(thread));
    expect(setAside).toEqual([]);
    looks(1, () => move(thread));
    expect([setAside, killed]).toEqual([[thread], []]);
  });

  test("kill it where it stands still: nothing on it is to be waited for", () => {
    const thread = crowded();
    looks(5);
    expect([setAside, killed]).toEqual([[], [[thread, "grace"]]]);
  });
});

describe("an exclusive thread", () => {
  test("may compute in one piece for as long as nobody cancels its task", () => {
    const thread = threadOf("exclusive");
    tracker.countStart(thread.row as number);
    looks(1_000);
    thread.givenUpTasks.add("stubborn");
    looks(4);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "grace"]]);
  });

  test("is ended after two seconds where it stands still and runs no task: what one has left behind holds it up", () => {
    const thread = threadOf("exclusive");
    tracker.countStart(thread.row as number);
    looks(100);
    tracker.countEnd(thread.row as number);
    looks(8);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "heartbeat"]]);
  });

  test("has a minute where its task has ended and the outcome has not come: a large value takes long to post", () => {
    const thread = threadOf("exclusive");
    const row = thread.row as number;
    thread.sent = thread.inFlight = 1;
    tracker.countReceived(row);
    tracker.countStart(row);
    looks(100);
    tracker.countEnd(row);
    looks(240);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "heartbeat"]]);
  });

  test("has two seconds where it has not even received its task: what one before has left behind holds it up", () => {
    const thread = threadOf("exclusive");
    thread.sent = thread.inFlight = 1;
    looks(8);
    expect(killed).toEqual([]);
    looks(1);
    expect(killed).toEqual([[thread, "heartbeat"]]);
  });

  test("is ended a second after its task was given up, though its event loop turns", () => {
    const thread = threadOf("exclusive");
    thread.givenUpTasks.add("stubborn");
    looks(4, () => move(thread));
    expect(killed).toEqual([]);
    looks(1, () => move(thread));
    expect([killed, setAside]).toEqual([[[thread, "grace"]], []]);
  });

  test("goes on where the task ends within that second, and the next one has a second too", () => {
    const thread = threadOf("exclusive");
    for (const task of ["late", "late again"]) {
      thread.givenUpTasks.add(task);
      looks(4);
      thread.givenUpTasks.delete(task);
      looks(1, () => move(thread));
    }
    looks(100, () => move(thread));
    expect(killed).toEqual([]);
  });
});

test.each(["shared", "exclusive"] as const)("a thread of the %s pool that has not loaded has the start timeout for it", (pool) => {
  const [loading, hanging] = [threadOf(pool, { loading: true }), threadOf(pool, { loading: true })];
  looks(START_LOOKS);
  expect(killed).toEqual([]);
  comeUp(loading);
  looks(1);
  expect(killed).toEqual([[hanging, "heartbeat"]]);
  looks(7);
  expect(killed.length).toBe(1);
});

test("a thread that was ordered to end is left alone", () => {
  const thread = crowded();
  thread.kill("killed");
  looks(40, () => move(thread));
  expect([killed, setAside]).toEqual([[[thread, "killed"]], []]);
});
