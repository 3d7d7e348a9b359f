import { expect, test } from "vitest";
import { backoffMs, COMPENSATION_BACKOFF, EVENT_BACKOFF, PROBE_BACKOFF } from "../../src/resilience/backoff.ts";
import { CallTimes } from "../../src/resilience/call-times.ts";
import { RetryAfters } from "../../src/resilience/retry-afters.ts";
import { RetryBudget } from "../../src/resilience/retry-budget.ts";

const POLICY = { baseMs: 1_000, capMs: 60_000 };

test("a pause doubles up to the cap, whatever the number of failures", () => {
  const longest = [1, 2, 3, 6, 7, 8, 5_000].map((failures) => backoffMs(failures, POLICY, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
});

test("half of a pause is chance", () => {
  expect(backoffMs(3, POLICY, () => 0)).toBe(2_000);
  expect(backoffMs(3, POLICY, () => 0.5)).toBe(3_000);
});

test("no policy has a pause shorter than that after which the queue looks again", () => {
  for (const policy of [COMPENSATION_BACKOFF, EVENT_BACKOFF, PROBE_BACKOFF]) expect(backoffMs(1, policy, () => 0)).toBeGreaterThan(50);
});

test("with the budget for retries there are, from the first call on, at most 1.2 times as many calls as first calls", () => {
  const budget = new RetryBudget();
  expect(budget.withdraw()).toBe(false);
  let retries = 0;
  for (let first = 1; first <= 1_000; first++) {
    budget.deposit();
    while (budget.withdraw()) retries++;
    expect(first + retries).toBeLessThanOrEqual(1.2 * first);
  }
  expect(retries).toBe(200);
});

test("of the budget for retries, what is saved while all is well is a blip's worth", () => {
  const budget = new RetryBudget();
  for (let first = 0; first < 1_000; first++) budget.deposit();
  let saved = 0;
  while (budget.withdraw()) saved++;
  expect(saved).toBe(10);
});

test("of times, too few calls say nothing of how fast one can be, and a single one how slow", () => {
  const times = new CallTimes();
  expect([times.fastestMs(0), times.slowestMs(0)]).toEqual([0, 0]);
  for (let n = 0; n < 19; n++) times.note(50 + n, n);
  expect([times.fastestMs(20), times.slowestMs(20)]).toEqual([0, 68]);
  times.note(200, 20);
  expect([times.fastestMs(20), times.slowestMs(20)]).toEqual([50, 200]);
});

test("times of calls are forgotten after 10 to 20 seconds", () => {
  const times = new CallTimes();
  for (let n = 0; n < 20; n++) times.note(10, 1_000);
  times.note(900, 1_000);
  for (let n = 0; n < 20; n++) times.note(70, 12_000);
  expect([times.fastestMs(20_900), times.slowestMs(20_900)]).toEqual([10, 900]);
  expect([times.fastestMs(22_500), times.slowestMs(22_500)]).toEqual([70, 70]);
  expect([times.fastestMs(60_000), times.slowestMs(60_000)]).toEqual([0, 0]);
});

test("Retry-After: of three that wait at one time the third holds the address, for as long as it says; then the count begins again", () => {
  const asked = new RetryAfters();
  expect([asked.note(5_000, 0), asked.note(5_000, 10), asked.note(7_000, 20)]).toEqual([0, 0, 7_000]);
  expect([asked.note(5_000, 30), asked.note(5_000, 40), asked.note(5_000, 50)]).toEqual([0, 0, 5_000]);
});

test("Retry-After never holds for longer than a minute", () => {
  const asked = new RetryAfters();
  expect([asked.note(3_600_000, 0), asked.note(3_600_000, 0), asked.note(3_600_000, 0)]).toEqual([0, 0, 60_000]);
});

test("one call that is asked to wait whenever it comes back never holds the address", () => {
  const asked = new RetryAfters();
  for (let nowMs = 0; nowMs < 100_000; nowMs += 1_000) expect(asked.note(1_000, nowMs)).toBe(0);
});

test("nor do two, whatever each is asked for: within the shorter wait neither can have come back", () => {
  const asked = new RetryAfters();
  for (const long of [true, false]) {
    expect(asked.note(long ? 60_000 : 1_000, 0)).toBe(0);
    expect(asked.note(long ? 1_000 : 60_000, 500)).toBe(0);
    const backMs = long ? 1_500 : 1_000;
    // The one that waited a second.
    expect(asked.note(1_000, backMs)).toBe(0);
    asked.forget();
  }
});

test("a third call within the shorter wait is another call", () => {
  const asked = new RetryAfters();
  expect([asked.note(60_000, 0), asked.note(1_000, 500), asked.note(30_000, 1_499)]).toEqual([0, 0, 30_000]);
});

test("whatever goes well between calls that are asked to wait begins the count again", () => {
  const asked = new RetryAfters();
  asked.note(5_000, 0);
  asked.note(5_000, 0);
  asked.forget();
  expect([asked.note(5_000, 0), asked.note(5_000, 0), asked.note(5_000, 0)]).toEqual([0, 0, 5_000]);
});
