import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { monotonicMs } from "../../src/threads/index.ts";
import { HeartbeatWatch } from "../../src/threads/heartbeat-watch.ts";
import { FINISHED, Layout, STARTED } from "../../src/threads/layout.ts";
import type { PoolThread } from "../../src/threads/pool-thread.ts";
import { Tracker } from "../../src/threads/tracker.ts";

const LOOK_MS = 500;

let layout: Layout;
let tracker: Tracker;
interface FakeThread {
  row: number | undefined;
  standsStill?: boolean;
}

let threads: FakeThread[];
let killed: (readonly [row: number | undefined, reason: string])[];
let watch: HeartbeatWatch;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  layout = Layout.allocate({ slots: 1, rows: 2 });
  tracker = new Tracker(layout);
  threads = [{ row: tracker.claim(1) }, { row: tracker.claim(2) }];
  killed = [];
  const kill = function (this: FakeThread, reason: string) {
    killed.push([this.row, reason]);
    threads = threads.filter((other) => other !== this);
  };
  watch = new HeartbeatWatch(tracker, [
    {
      all: () => threads.map((thread) => Object.assign(thread, { kill }) as unknown as PoolThread).values(),
    },
  ]);
});

afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

/** A beat of the row's thread as it would be written at that time after the start. */
function beatAt(row: number, ms: number): void {
  new Tracker(new Layout({ ...layout.handle, epochMs: monotonicMs() - ms })).beat(row);
}

function looks(count: number, between = (_look: number) => {}): void {
  for (let look = 1; look <= count; look++) {
    vi.advanceTimersByTime(LOOK_MS);
    between(look);
  }
}

test("each look reads the counters too, so that a word that wraps later is not taken for one that has not", () => {
  const setWords = (value: number) => {
    for (const field of [STARTED, FINISHED]) layout.words[layout.rowAt(0, field)] = value;
  };
  setWords(-1);
  looks(1);
  setWords(5);
  expect(tracker.totals()).toMatchObject({ started: 2 ** 32 + 5, finished: 2 ** 32 + 5 });
});

test("a thread that does not beat between five looks is replaced, once; one that does is not", () => {
  looks(4, (look) => beatAt(0, look * LOOK_MS));
  expect(killed).toEqual([]);
  looks(1);
  expect(killed).toEqual([[1, "heartbeat"]]);
  beatAt(0, 9_999);
  looks(4);
  expect(killed).toEqual([[1, "heartbeat"]]);
  looks(1);
  expect(killed).toEqual([
    [1, "heartbeat"],
    [0, "heartbeat"],
  ]);
});

test("old beats are no reason: after a stop of the whole process all of them are", () => {
  beatAt(0, -60_000);
  beatAt(1, -60_000);
  looks(3);
  expect(killed).toEqual([]);
  // The threads woke up as this one did, only a little later.
  beatAt(0, 1);
  beatAt(1, 1);
  looks(4);
  expect(killed).toEqual([]);
});

test("a single beat within the limit is enough, again and again", () => {
  looks(40, (look) => {
    if (look % 4 === 0) for (const row of [0, 1]) beatAt(row, look);
  });
  expect(killed).toEqual([]);
});

test("a thread that has not claimed its row yet has half a minute for it, and closing ends the looks", () => {
  const loading: FakeThread = { row: undefined };
  const hanging: FakeThread = { row: undefined };
  threads = [loading, hanging];
  looks(60);
  expect(killed).toEqual([]);
  loading.row = 0;
  looks(1);
  expect([killed, threads]).toEqual([[[undefined, "heartbeat"]], [loading]]);
  watch.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("a thread that stands still for a heap snapshot is left alone, and has all its time afterwards", () => {
  const still = { row: 0, standsStill: true };
  threads = [still];
  looks(10);
  expect(killed).toEqual([]);
  still.standsStill = false;
  looks(4);
  expect(killed).toEqual([]);
  looks(1);
  expect(killed).toEqual([[0, "heartbeat"]]);
});
