import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TASK_STRIDE, type TaskMessage } from "../../src/threads/protocol.ts";
import { Slices } from "../../src/threads/worker/slices.ts";
import { seedOf } from "../support/seed.ts";

const SEED = seedOf("SLICES_SEED");
const MOST_STARTS = 64;

vi.mock("../../src/threads/clock.ts", () => ({ monotonicMs: () => nowMs }));

let nowMs: number;
/** How long the start of a task takes, microtasks aside. */
let startMs: number;
let started: string[];
let slices: Slices;

// The event loop turns, and time passes, only when a test says so.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setImmediate", "clearImmediate"] });
  nowMs = 0;
  startMs = 0;
  started = [];
  slices = new Slices((message, at) => {
    const beganMs = nowMs;
    started.push(String(message[at]));
    nowMs += startMs;
    return beganMs;
  });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A message with tasks that are called a1, a2 and so on. */
function message(name: string, tasks: number): TaskMessage {
  return Array.from({ length: tasks * TASK_STRIDE }, (_, at) => `${name}${1 + at / TASK_STRIDE}`);
}

/** What starts in one turn of the loop, which lasts for so long after the starts. */
function turn(microtasksMs = 0): string[] {
  nowMs += microtasksMs;
  started = [];
  vi.advanceTimersToNextTimer();
  return started;
}

const names = (name: string, from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `${name}${from + n}`);

describe("one message", () => {
  test("starts when it arrives, and the loop has nothing more to do for it", () => {
    startMs = 0.1;
    slices.add(message("a", 3));
    expect([started, vi.getTimerCount()]).toEqual([["a1", "a2", "a3"], 0]);
  });

  test("that takes longer than a slice starts in several, in order, each task once", () => {
    startMs = 0.5;
    slices.add(message("a", 12));
    // The clock is read when a task begins: the fifth begins when the slice is just over.
    expect([started, turn(), turn()]).toEqual([names("a", 1, 5), names("a", 6, 10), names("a", 11, 12)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("of tasks that take longer than a slice starts two, and then one in each turn", () => {
    startMs = 10;
    slices.add(message("a", 5));
    expect([started, turn(), turn(), turn()]).toEqual([["a1", "a2"], ["a3"], ["a4"], ["a5"]]);
    // The last one was long too: whatever had arrived would wait for this turn.
    expect([turn(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  test("of tasks that cost nothing to start has a limit all the same: what they do comes afterwards", () => {
    slices.add(message("a", 2 * MOST_STARTS + 1));
    expect(started).toEqual(names("a", 1, MOST_STARTS));
    expect(turn()).toEqual(names("a", MOST_STARTS + 1, 2 * MOST_STARTS));
    expect(turn()).toEqual([`a${2 * MOST_STARTS + 1}`]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("tasks that compute in microtasks, which nobody sees before the turn is over", () => {
  const LONG_MS = 9;

  test("start by half as many after each long turn, one at least, and by twice as many after each short one", () => {
    slices.add(message("a", 1_000));
    const starts = [started.length];
    for (let n = 0; n < 8; n++) starts.push(turn(LONG_MS).length);
    expect(starts).toEqual([64, 32, 16, 8, 4, 2, 1, 1, 1]);
    expect([1, 2, 3, 4, 5, 6, 7].map(() => turn().length)).toEqual([2, 4, 8, 16, 32, 64, 64]);
  });

  test("keep their number where a turn is no longer than some slices", () => {
    slices.add(message("a", 1_000));
    expect([1, 2, 3].map(() => turn(LONG_MS - 1).length)).toEqual([64, 64, 64]);
  });
});

describe("several messages", () => {
  beforeEach(() => {
    startMs = 0.5;
  });

  test("of one turn share one slice", () => {
    slices.add(message("a", 2));
    slices.add(message("b", 2));
    slices.add(message("c", 2));
    expect([started, turn()]).toEqual([
      ["a1", "a2", "b1", "b2"],
      ["c1", "c2"],
    ]);
  });

  test("that arrive when the slice is over begin in the next turn, the new ones first behind one task of the oldest", () => {
    slices.add(message("a", 100));
    const before = started.length;
    slices.add(message("b", 1));
    slices.add(message("c", 1));
    expect(started.length).toBe(before);
    expect(turn().slice(0, 4)).toEqual([`a${before + 1}`, "c1", "b1", `a${before + 2}`]);
  });

  test("take turns: a short one waits for one task of another, not for the rest of the long ones", () => {
    for (const name of ["a", "b", "c"]) slices.add(message(name, 100));
    expect(turn()).toEqual(["a6", "c1", "b1", "a7", "c2"]);
    slices.add(message("short", 1));
    expect(turn().slice(0, 2)).toEqual(["a8", "short1"]);
    const begun = Object.fromEntries(["a", "b", "c"].map((name) => [name, 0]));
    for (let n = 0; n < 20; n++) for (const [name = ""] of turn()) begun[name] = (begun[name] as number) + 1;
    // The oldest begins each slice besides.
    for (const count of Object.values(begun)) expect(count).toBeGreaterThan(20);
  });

  test.each([
    ["compute when they start", 10, 0],
    ["compute in microtasks", 0, 10],
  ])("take turns also where tasks %s, for so long that one fills a turn", (_what, startingMs, microtasksMs) => {
    startMs = startingMs;
    slices.add(message("a", 1_000));
    for (let n = 0; n < 20; n++) turn(microtasksMs);
    expect(turn(microtasksMs)).toEqual([expect.stringMatching(/^a/)]);
    slices.add(message("short", 1));
    const next = [1, 2, 3, 4].flatMap(() => turn(microtasksMs));
    expect(next).toContain("short1");
    expect(next.length).toBeLessThan(8);
  });

  test("never starve the oldest, though new ones fill every slice", () => {
    slices.add(message("old", 20));
    let own = started.length;
    for (let n = 0; own < 20 && n < 40; n++) {
      for (let each = 0; each < 10; each++) slices.add(message(`new${n}.${each}.`, 1));
      own += turn().filter((name) => name.startsWith("old")).length;
      expect(own).toBeGreaterThanOrEqual(Math.min(20, n + 2));
    }
    expect(own).toBe(20);
  });

  test(`each start all their tasks once, in their own order (seed ${SEED})`, () => {
    const arrival = fc.record({ tasks: fc.integer({ min: 1, max: 80 }), turns: fc.nat(2), startMs: fc.constantFrom(0, 0.3, 1, 3, 12) });
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 1, maxLength: 12 }), (arrivals) => {
        const all: string[] = [];
        for (const [n, { tasks, turns, startMs: ms }] of arrivals.entries()) {
          startMs = ms;
          started = [];
          slices.add(message(`${n}.`, tasks));
          all.push(...started);
          for (let turned = 0; turned < turns && vi.getTimerCount() > 0; turned++) all.push(...turn());
        }
        while (vi.getTimerCount() > 0) all.push(...turn());
        for (const [n, { tasks }] of arrivals.entries()) {
          expect(all.filter((name) => name.startsWith(`${n}.`))).toEqual(names(`${n}.`, 1, tasks));
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});
