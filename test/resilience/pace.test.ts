import { expect, test } from "vitest";
import { Pace } from "../../src/resilience/pace.ts";
import { FakeClock } from "./fake-clock.ts";

test.each([0.5, 70, 4_444])("%d a second: as many as that over time, and never more", (maxPerSecond) => {
  const clock = new FakeClock();
  const startMs = clock.nowMs();
  const taken: number[] = [];
  const pace = new Pace(maxPerSecond, clock);
  pace.onRefill(take);
  function take(): void {
    // By ones and by many.
    for (let max = 1; ; max = max === 1 ? 7 : 1) {
      const count = pace.take(max);
      for (let one = 0; one < count; one++) taken.push(clock.nowMs() - startMs);
      if (count === 0) return;
    }
  }
  take();
  clock.advance(60_000);
  const full = 1 + maxPerSecond / 50;
  const tooMany = taken.filter((atMs, index) => index + 1 > full + (maxPerSecond * atMs) / 1_000 + 1e-6);
  expect(tooMany).toEqual([]);
  expect(taken.length).toBeGreaterThan(maxPerSecond * 60 * 0.97 - 1);
  pace.close();
  expect(clock.timers).toBe(0);
});

test("what was not needed can be had again, and never makes more than a full bucket", () => {
  const clock = new FakeClock();
  const pace = new Pace(500, clock);
  expect(pace.take(100)).toBe(11);
  pace.giveBack(4);
  expect(pace.take(100)).toBe(4);
  pace.giveBack(11);
  pace.giveBack(11);
  expect(pace.take(100)).toBe(11);
});

test("no limit needs no timer; one that is not used lets its timer end", () => {
  const clock = new FakeClock();
  const unlimited = new Pace(Number.POSITIVE_INFINITY, clock);
  for (let count = 0; count < 100; count++) expect(unlimited.take(64)).toBe(64);
  unlimited.giveBack(3);
  expect([unlimited.take(64), clock.asked]).toEqual([64, []]);
  const limited = new Pace(100, clock);
  expect([limited.take(3), limited.take(1)]).toEqual([3, 0]);
  clock.advance(1_000);
  expect(clock.timers).toBe(0);
  expect(clock.asked).toEqual([20, 20]);
});

test("whoever got none hears of the next refill, also when tokens were given back meanwhile", () => {
  const clock = new FakeClock();
  const pace = new Pace(500, clock);
  let refills = 0;
  pace.onRefill(() => refills++);
  expect([pace.take(100), pace.take(1)]).toEqual([11, 0]);
  pace.giveBack(11);
  clock.advance(20);
  expect([refills, clock.timers, pace.take(100)]).toEqual([1, 0, 11]);
});

test("two that share one get the same over time, and not more together; one that left hears nothing more", () => {
  const clock = new FakeClock();
  const pace = new Pace(1_000, clock);
  const taken = [0, 0, 0];
  // Each takes all that there is, like a queue with a long backlog.
  const leave = taken.map((_, who) => pace.onRefill(() => (taken[who] = (taken[who] ?? 0) + pace.take(64))));
  expect(pace.take(64)).toBe(21);
  leave[2]?.();
  clock.advance(60_000);
  const [first = 0, second = 0, third] = taken;
  expect(third).toBe(0);
  expect(first + second).toBeGreaterThan(59_000);
  expect(first + second).toBeLessThanOrEqual(60_000);
  expect(Math.abs(first - second)).toBeLessThanOrEqual(20);
  pace.close();
});
