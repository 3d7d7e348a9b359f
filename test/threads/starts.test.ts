import { availableParallelism } from "node:os";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StartBackoff, StartLimit } from "../../src/threads/starts.ts";

describe("how many threads load at one time", () => {
  const LIMIT = Math.max(2, availableParallelism());
  let limit: StartLimit;
  let loading: number;
  let most: number;

  beforeEach(() => {
    limit = new StartLimit();
    [loading, most] = [0, 0];
  });

  /** As a pool does: starts as many as it may of those that it misses, and goes on when it may again. */
  function pool(missing: number): { missing: number } {
    const own = { missing };
    const start = () => {
      for (; own.missing > 0; own.missing--) {
        if (!limit.tryBegin(start)) return;
        most = Math.max(most, ++loading);
      }
    };
    start();
    return own;
  }

  function oneIsUp(): void {
    loading--;
    limit.ended();
  }

  test("is limited, and each that is up makes room for one more", () => {
    const own = pool(LIMIT + 3);
    for (let waiting = 3; waiting > 0; waiting--) {
      expect([loading, own.missing]).toEqual([LIMIT, waiting]);
      oneIsUp();
    }
    expect([loading, own.missing]).toEqual([LIMIT, 0]);
    while (loading > 0) oneIsUp();
    expect(pool(1).missing).toBe(0);
    expect(most).toBe(LIMIT);
  });

  test("is limited over all pools together, and none is forgotten", () => {
    const pools = [pool(LIMIT), pool(LIMIT), pool(2)];
    expect(pools.map(({ missing }) => missing)).toEqual([0, LIMIT, 2]);
    for (let n = 0; n < LIMIT + 2; n++) oneIsUp();
    expect([pools.map(({ missing }) => missing), loading, most]).toEqual([[0, 0, 0], LIMIT, LIMIT]);
  });

  test("calls back whoever waits once, though he has asked twice; not again when there is no room for him", () => {
    pool(LIMIT);
    let calls = 0;
    const retry = () => void calls++;
    expect([limit.tryBegin(retry), limit.tryBegin(retry)]).toEqual([false, false]);
    oneIsUp();
    expect(calls).toBe(1);
    oneIsUp();
    expect(calls).toBe(1);
  });
});

describe("a pool whose threads die", () => {
  const YOUNG_MS = 999;
  let backoff: StartBackoff;
  let starts: number;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    backoff = new StartBackoff();
    starts = 0;
  });

  afterEach(() => void vi.useRealTimers());

  const died = (upMs: number | undefined) => backoff.died(upMs, () => void starts++);

  /** How long the pause lasts that a death brings: 0 where the next thread starts at once. */
  function pauseAfter(upMs: number | undefined): number {
    const before = starts;
    died(upMs);
    let pauseMs = 0;
    for (; starts === before; pauseMs += 100) {
      expect([pauseMs, backoff.isPausing]).toEqual([pauseMs, true]);
      vi.advanceTimersByTime(99);
      expect([pauseMs, starts]).toEqual([pauseMs, before]);
      vi.advanceTimersByTime(1);
      if (pauseMs > 10_000) throw new Error("no thread starts");
    }
    expect([backoff.isPausing, starts, vi.getTimerCount()]).toEqual([false, before + 1, 0]);
    return pauseMs;
  }

  test("replaces the first at once; those that die young after it with a pause that doubles up to a limit", () => {
    const pauses = Array.from({ length: 10 }, () => pauseAfter(YOUNG_MS));
    expect(pauses).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(backoff.isHopeless).toBe(false);
  });

  test("pauses before the first too where that had not come up", () => {
    expect([1, 2, 3, 4].map(() => pauseAfter(undefined))).toEqual([100, 200, 400, 800]);
  });

  test("begins anew after one that had been up for a second", () => {
    expect([YOUNG_MS, YOUNG_MS, undefined, 1_000].map(pauseAfter)).toEqual([0, 100, 400, 0]);
    expect([YOUNG_MS, YOUNG_MS].map(pauseAfter)).toEqual([0, 100]);
  });

  test("is hopeless when five in a row have not come up, however many have come up and died", () => {
    const hopelessAfter = (upMs: number | undefined, deaths: number) =>
      Array.from({ length: deaths }, () => {
        died(upMs);
        return backoff.isHopeless;
      });
    expect(hopelessAfter(YOUNG_MS, 10)).not.toContain(true);
    expect(hopelessAfter(undefined, 4)).not.toContain(true);
    backoff.cameUp();
    expect(hopelessAfter(undefined, 5)).toEqual([false, false, false, false, true]);
    backoff.cameUp();
    expect(backoff.isHopeless).toBe(false);
  });

  test("has one pause at a time: a death in it begins the next one, and one start follows", () => {
    for (const upMs of [YOUNG_MS, YOUNG_MS]) died(upMs);
    expect([starts, vi.getTimerCount()]).toEqual([1, 1]);
    vi.advanceTimersByTime(99);
    died(YOUNG_MS);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(199);
    expect(starts).toBe(1);
    vi.advanceTimersByTime(1);
    expect([starts, backoff.isPausing]).toEqual([2, false]);
    vi.advanceTimersByTime(60_000);
    expect(starts).toBe(2);
  });

  test("starts none once stopped", () => {
    for (const upMs of [YOUNG_MS, YOUNG_MS]) died(upMs);
    expect(backoff.isPausing).toBe(true);
    backoff.stop();
    expect([backoff.isPausing, vi.getTimerCount()]).toEqual([false, 0]);
    vi.advanceTimersByTime(60_000);
    expect(starts).toBe(1);
  });
});
