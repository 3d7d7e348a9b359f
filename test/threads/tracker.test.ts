import { expect, test, vi } from "vitest";
import { FINISHED, Layout, STARTED } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";

test("counts beyond what a word of shared memory holds, again and again, and of threads that are gone", () => {
  const layout = Layout.allocate({ slots: 1, rows: 1 });
  const { words } = layout;
  const tracker = new Tracker(layout);
  const startedAt = layout.rowAt(0, STARTED);
  let steps = 0;
  for (let thread = 1; thread <= 2; thread++) {
    const row = tracker.claim(thread);
    let low = 0;
    for (let wraps = 0; wraps < 3; wraps++) {
      for (const word of [2 ** 31 - 1, 2 ** 32 - 1]) {
        // As if that many steps had come and gone since somebody last looked.
        steps += word - low;
        words[startedAt] = words[startedAt + 1] = word | 0;
        expect(tracker.totals()).toEqual({ running: 0, started: steps, finished: steps });
        tracker.countStart(row);
        expect(tracker.totals()).toEqual({ running: 1, started: steps + 1, finished: steps });
        tracker.countEnd(row);
        steps++;
        expect(tracker.totals()).toEqual({ running: 0, started: steps, finished: steps });
        low = (word + 1) % 2 ** 32;
      }
    }
    tracker.settle(row);
    expect(tracker.totals()).toEqual({ running: 0, started: steps, finished: steps });
  }
  expect(steps).toBe(2 * 3 * 2 ** 32);
});

test("a step that was given up counts as finished, also after it has ended by itself or with its thread", () => {
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
  tracker.settle(row);
  expect(tracker.totals()).toEqual({ running: 0, started: 3, finished: 3 });
  tracker.countStart(tracker.claim(2));
  expect(tracker.totals()).toEqual({ running: 1, started: 4, finished: 3 });
});

test.each([false, true])("a step that ends while its row is read (given up: %s) does not make more finished than started", (givenUp) => {
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
