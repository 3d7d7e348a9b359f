import { expect, test } from "vitest";
import { Pace } from "../../src/retries/pace.ts";
import { FakeClock } from "./fake-clock.ts";

test.each([0.5, 3, 50, 70, 1_000, 4_444])("%d a second: as many as that over time, and never more", (maxPerSecond) => {
  const clock = new FakeClock();
  const startMs = clock.nowMs();
  const taken: number[] = [];
  const pace = new Pace(maxPerSecond, clock);
  pace.onRefill(take);
  function take(): void {
    while (pace.take()) taken.push(clock.nowMs() - startMs);
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

test("no limit needs no timer; one that is not used lets its timer end", () => {
  const clock = new FakeClock();
  const unlimited = new Pace(Number.POSITIVE_INFINITY, clock);
  for (let count = 0; count < 10_000; count++) expect(unlimited.take()).toBe(true);
  expect(clock.asked).toEqual([]);
  const limited = new Pace(100, clock);
  limited.take();
  limited.take();
  limited.take();
  expect(limited.take()).toBe(false);
  clock.advance(1_000);
  expect(clock.timers).toBe(0);
  expect(clock.asked).toEqual([20, 20]);
});

test("two that share one get the same over time, and not more together; one that left hears nothing more", () => {
  const clock = new FakeClock();
  const pace = new Pace(1_000, clock);
  const taken = [0, 0, 0];
  // Each takes all that there is, like a queue with a long backlog.
  const leave = taken.map((_, who) =>
    pace.onRefill(() => {
      while (pace.take()) taken[who] = (taken[who] ?? 0) + 1;
    }),
  );
  while (pace.take());
  leave[2]?.();
  clock.advance(60_000);
  const [first = 0, second = 0, third] = taken;
  expect(third).toBe(0);
  expect(first + second).toBeGreaterThan(59_000);
  expect(first + second).toBeLessThanOrEqual(60_000);
  expect(Math.abs(first - second)).toBeLessThanOrEqual(20);
  pace.close();
});
