import { expect, test } from "vitest";
import { CallTimes } from "../../src/resilience/call-times.ts";

test("too few calls say nothing of how fast one can be, and a single one how slow", () => {
  const times = new CallTimes();
  expect([times.fastestMs(0), times.slowestMs(0)]).toEqual([0, 0]);
  for (let n = 0; n < 19; n++) times.note(50 + n, n);
  expect([times.fastestMs(20), times.slowestMs(20)]).toEqual([0, 68]);
  times.note(200, 20);
  expect([times.fastestMs(20), times.slowestMs(20)]).toEqual([50, 200]);
});

test("calls are forgotten after 10 to 20 seconds", () => {
  const times = new CallTimes();
  for (let n = 0; n < 20; n++) times.note(10, 1_000);
  times.note(900, 1_000);
  for (let n = 0; n < 20; n++) times.note(70, 12_000);
  expect([times.fastestMs(20_900), times.slowestMs(20_900)]).toEqual([10, 900]);
  expect([times.fastestMs(22_500), times.slowestMs(22_500)]).toEqual([70, 70]);
  expect([times.fastestMs(60_000), times.slowestMs(60_000)]).toEqual([0, 0]);
});
