import { expect, test } from "vitest";
import { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";

test("counts beyond what a word of shared memory holds, again and again, and of threads that are gone", () => {
  const layout = Layout.allocate(1, 1);
  const words = new Int32Array(layout.handle.buffer);
  const tracker = new Tracker(layout);
  const startedAt = words.length - 16 + 2;
  let steps = 0;
  for (let thread = 1; thread <= 2; thread++) {
    const row = layout.claimRow(thread);
    let low = 0;
    for (let wraps = 0; wraps < 3; wraps++) {
      for (const word of [2 ** 31 - 1, 2 ** 32 - 1]) {
        // As if that many steps had come and gone since somebody last looked.
        steps += word - low;
        words[startedAt] = words[startedAt + 1] = word | 0;
        expect(tracker.totals()).toEqual({ running: 0, started: steps, finished: steps });
        layout.countStart(row);
        expect(tracker.totals()).toEqual({ running: 1, started: steps + 1, finished: steps });
        layout.countEnd(row);
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
