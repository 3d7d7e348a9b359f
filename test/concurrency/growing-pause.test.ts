import { expect, test } from "vitest";
import { growingPauseMs } from "../../src/concurrency/growing-pause.ts";

const GROWTH = { baseMs: 1_000, capMs: 60_000 };

test("doubles up to the cap, whatever the number of failures", () => {
  const longest = [1, 2, 3, 6, 7, 8, 5_000].map((failures) => growingPauseMs(failures, GROWTH, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
});

test("half of it is chance", () => {
  expect(growingPauseMs(3, GROWTH, () => 0)).toBe(2_000);
  expect(growingPauseMs(3, GROWTH, () => 0.5)).toBe(3_000);
});
