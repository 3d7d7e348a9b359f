import { expect, test } from "vitest";
import { backoffMs, COMPENSATION_BACKOFF, EVENT_BACKOFF, PROBE_BACKOFF } from "../../src/resilience/backoff.ts";

const POLICY = { baseMs: 1_000, capMs: 60_000 };

test("doubles up to the cap, whatever the number of failures", () => {
  const longest = [1, 2, 3, 6, 7, 8, 5_000].map((failures) => backoffMs(failures, POLICY, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
});

test("half of it is chance", () => {
  expect(backoffMs(3, POLICY, () => 0)).toBe(2_000);
  expect(backoffMs(3, POLICY, () => 0.5)).toBe(3_000);
});

test("no policy has a pause shorter than that after which the queue looks again", () => {
  for (const policy of [COMPENSATION_BACKOFF, EVENT_BACKOFF, PROBE_BACKOFF]) expect(backoffMs(1, policy, () => 0)).toBeGreaterThan(50);
});
