import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { monotonicMs } from "../../src/threads/clock.ts";
import type { DispatchedTask } from "../../src/threads/dispatched-task.ts";
import { FINISHED, Layout, RECEIVED, STARTED } from "../../src/threads/layout.ts";
import { TaskTable } from "../../src/threads/places.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { seedOf } from "../support/seed.ts";

vi.mock("../../src/threads/clock.ts", { spy: true });

test("counts beyond what a word of shared memory holds, again and again, and of threads that are gone", () => {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const { words } = layout;
  const tracker = new Tracker(layout);
  const startedAt = layout.rowAt(0, STARTED);
  let tasks = 0;
  for (let thread = 1; thread <= 2; thread++) {
    const row = tracker.claim(thread);
    let low = 0;
    for (let wraps = 0; wraps < 3; wraps++) {
      // In the last round as many at once as a word can tell.
      for (const word of wraps < 2 ? [2 ** 31 - 1, 2 ** 32 - 1] : [2 ** 32 - 1]) {
        // As if that many tasks had come and gone since somebody last looked.
        tasks += word - low;
        words[startedAt] = words[startedAt + 1] = word | 0;
        expect(tracker.totals()).toEqual({ running: 0, started: tasks, finished: tasks });
        tracker.countStart(row);
        expect(tracker.totals()).toEqual({ running: 1, started: tasks + 1, finished: tasks });
        tracker.countEnd(row);
        tasks++;
        expect(tracker.totals()).toEqual({ running: 0, started: tasks, finished: tasks });
        low = (word + 1) % 2 ** 32;
      }
    }
    tracker.release(row);
    expect(tracker.totals()).toEqual({ running: 0, started: tasks, finished: tasks });
  }
  expect(tasks).toBe(2 * 3 * 2 ** 32);
});

test("a task that was given up counts as finished, also after it has ended by itself or with its thread", () => {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const tracker = new Tracker(layout);
  const row = tracker.claim(1);
  for (let n = 0; n < 3; n++) tracker.countStart(row);
  tracker.giveUp(row);
  tracker.giveUp(row);
  expect(tracker.totals()).toEqual({ running: 1, started: 3, finished: 2 });
  tracker.countEnd(row);
  tracker.endedLate(row);
  expect(tracker.totals()).toEqual({ running: 1, started: 3, finished: 2 });
  tracker.countEnd(row);
  expect(tracker.totals()).toEqual({ running: 0, started: 3, finished: 3 });
  tracker.release(row);
  expect(tracker.totals()).toEqual({ running: 0, started: 3, finished: 3 });
  tracker.countStart(tracker.claim(2));
  expect(tracker.totals()).toEqual({ running: 1, started: 4, finished: 3 });
});

test.each([false, true])("a task that ends while its row is read (given up: %s) does not make more finished than started", (givenUp) => {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const tracker = new Tracker(layout);
  const row = tracker.claim(1);
  tracker.countStart(row);
  if (givenUp) tracker.giveUp(row);
  const { load } = Atomics;
  let ends = 0;
  const spied = vi.spyOn(Atomics, "load").mockImplementation(((words: Int32Array, at: number) => {
    if (at === layout.rowAt(row, FINISHED) && ends++ === 0) {
      tracker.countEnd(row);
      // Another one comes and goes too.
      tracker.countStart(row);
      tracker.countEnd(row);
    }
    return load(words, at);
  }) as typeof load);
  try {
    expect(tracker.totals()).toMatchObject({ started: 1, finished: 1 });
    expect(ends).toBe(1);
  } finally {
    spied.mockRestore();
  }
  if (givenUp) tracker.endedLate(row);
  expect(tracker.totals()).toEqual({ running: 0, started: 2, finished: 2 });
});

test("tasks of a thread that was killed count as finished at once, also while it cannot die and goes on counting", () => {
  const layout = Layout.allocate({ slots: 1, rows: 2 });
  const tracker = new Tracker(layout);
  const [dying, other] = [tracker.claim(1), tracker.claim(2)];
  for (const row of [dying, dying, other]) tracker.countStart(row);
  tracker.giveUp(dying);
  tracker.depart(dying);
  expect(tracker.totals()).toEqual({ running: 1, started: 3, finished: 2 });
  tracker.countEnd(dying);
  tracker.countStart(dying);
  expect(tracker.totals()).toEqual({ running: 1, started: 4, finished: 3 });
  tracker.release(dying);
  expect(tracker.totals()).toEqual({ running: 1, started: 4, finished: 3 });
  // The thread that gets its row counts from 0, and its tasks run.
  expect(tracker.claim(3)).toBe(dying);
  tracker.countStart(dying);
  expect(tracker.totals()).toEqual({ running: 2, started: 5, finished: 3 });
  tracker.countEnd(dying);
  tracker.countEnd(other);
  expect(tracker.totals()).toEqual({ running: 0, started: 5, finished: 5 });
});

test("tasks that ran when their thread died count as finished once its row is released", () => {
  const tracker = new Tracker(Layout.allocate({ slots: 1, rows: 1 }));
  const row = tracker.claim(1);
  for (let n = 0; n < 3; n++) tracker.countStart(row);
  tracker.countEnd(row);
  expect(tracker.totals()).toEqual({ running: 2, started: 3, finished: 1 });
  tracker.release(row);
  expect(tracker.totals()).toEqual({ running: 0, started: 3, finished: 3 });
});

test("a thread finds a free row, and is found there until it has been released; when all are taken it is told", () => {
  const tracker = new Tracker(Layout.allocate({ slots: 1, rows: 2 }));
  expect(tracker.rowOf(7)).toBeUndefined();
  expect([tracker.claim(7), tracker.claim(8)]).toEqual([0, 1]);
  expect([tracker.rowOf(7), tracker.rowOf(8)]).toEqual([0, 1]);
  expect(() => tracker.claim(9)).toThrow("no free tracker row for thread 9: all 2 are taken");
  tracker.release(0);
  expect([tracker.rowOf(7), tracker.rowOf(8)]).toEqual([undefined, 1]);
  expect(tracker.claim(9)).toBe(0);
});

test.each([0, 2 ** 31 - 2, -2])("tells which messages have been received, from %i on", (before) => {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const tracker = new Tracker(layout);
  const row = tracker.claim(1);
  layout.words[layout.rowAt(row, RECEIVED)] = before;
  for (let n = 1; n <= 4; n++) {
    expect([n, tracker.hasReceived(row, before + n - 1), tracker.hasReceived(row, before + n)]).toEqual([n, true, false]);
    tracker.countReceived(row);
    expect([n, tracker.hasReceived(row, before + n)]).toEqual([n, true]);
  }
  tracker.release(row);
  expect(tracker.hasReceived(tracker.claim(2), 1)).toBe(false);
});

test("a heartbeat has the age that it has, also where the word of it wraps, and none in the future", () => {
  // From 0 on, so that no fraction is cut off.
  const handle = { ...Layout.allocate({ slots: 1, rows: 1 }).handle, epochMs: 0 };
  const ageAt = (beatMs: number, nowMs: number) => {
    vi.mocked(monotonicMs).mockReturnValueOnce(beatMs).mockReturnValueOnce(nowMs);
    new Tracker(new Layout(handle)).beat(0);
    return new Tracker(new Layout(handle)).read(0).heartbeatAgeMs;
  };
  const wrap = 2 ** 31;
  for (const [beatMs, nowMs, ageMs] of [
    [5, 7, 2],
    [wrap - 3, wrap + 4, 7],
    [2 * wrap - 1, 2 * wrap + 1, 2],
    [9, 7, 0],
  ] as const) {
    expect(ageAt(beatMs, nowMs)).toBe(ageMs);
  }
});

const SEED = seedOf("TASK_TABLE_SEED");

const taskOf = (slot: number, generation: number) => ({ group: { slot, generation } }) as unknown as DispatchedTask;

test("a place in the table of tasks is given again, and who asks for the task that had it before gets none", () => {
  const table = new TaskTable();
  const [before, other] = [taskOf(3, 7), taskOf(3, 7)];
  const [id, otherId] = [table.add(before), table.add(other)];
  expect([table.find(id, 3, 7), table.find(otherId, 3, 7), table.inUse]).toEqual([before, other, 2]);
  table.remove(id);
  expect([table.find(id, 3, 7), table.inUse, table.all()]).toEqual([undefined, 1, [other]]);
  const now = taskOf(3, 8);
  expect(table.add(now)).toBe(id);
  expect([table.find(id, 3, 7), table.find(id, 4, 8), table.find(id + 10, 3, 8)]).toEqual([undefined, undefined, undefined]);
  expect(table.find(id, 3, 8)).toBe(now);
});

test(`the table of tasks is as large as most tasks at one time were, and holds exactly those that have not settled (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(fc.record({ comes: fc.boolean(), pick: fc.nat(1_000) }), { maxLength: 200 }), (commands) => {
      const table = new TaskTable();
      const model = new Map<number, DispatchedTask>();
      let most = 0;
      for (const { comes, pick } of commands) {
        if (comes) {
          const task = taskOf(pick, 0);
          const id = table.add(task);
          expect(model.has(id)).toBe(false);
          model.set(id, task);
        } else {
          const id = [...model.keys()][pick % Math.max(1, model.size)];
          if (id === undefined) continue;
          table.remove(id);
          model.delete(id);
        }
        most = Math.max(most, model.size);
        expect(table.inUse).toBe(model.size);
        for (const id of model.keys()) expect(id).toBeLessThan(most);
        expect(new Set(table.all())).toEqual(new Set(model.values()));
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});
