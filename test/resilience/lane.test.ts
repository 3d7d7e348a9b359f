import { expect, test } from "vitest";
import { type CallFailure, EndpointHealth } from "../../src/resilience/endpoint-health.ts";
import { FakeClock } from "./fake-clock.ts";

const SILENT: CallFailure = { again: false, how: "silent", overloaded: false, retryAfterMs: 0 };

function open(maxInFlight = 12) {
  const clock = new FakeClock();
  const health = new EndpointHealth({ maxInFlight, clock, random: () => 1 });
  return { clock, health, first: health.lane(8, "first"), again: health.lane(4, "again") };
}

test("has as many calls as it may, whatever the other lane has under way", () => {
  const { health, first, again } = open();
  const calls = Array.from({ length: 4 }, () => again.begin());
  expect([again.room, again.inFlight, first.room, health.inFlight]).toEqual([0, 4, 8, 4]);
  // More than it may: calls that do not ask.
  calls.push(again.begin());
  expect(again.room).toBe(0);
  for (const call of calls) again.end(call, undefined);
  expect([again.room, again.inFlight, health.inFlight]).toEqual([4, 0, 0]);
});

test("the limit is that of each lane: what hangs in one does not keep the other waiting, however low it is", () => {
  const { health, first, again } = open();
  for (let count = 0; count < 6; count++) health.end(health.begin(), { ...SILENT, again: true, overloaded: true });
  expect([health.limit, first.room, again.room]).toEqual([1, 1, 1]);
  again.begin();
  expect([first.room, again.room]).toEqual([1, 0]);
  const call = first.begin();
  expect(first.room).toBe(0);
  first.end(call, "ok");
  expect([first.room, again.room]).toEqual([2, 1]);
});

test("probing: one call at a time, also when an earlier one still hangs, and none during the pause", () => {
  const { clock, first, again } = open();
  const hanging = again.begin();
  for (let count = 0; count < 5; count++) first.end(first.begin(), SILENT);
  clock.advance(500);
  // One of this lane is under way from before: the next probe waits for it.
  expect([first.room, again.room]).toEqual([1, 0]);
  const probe = first.begin();
  expect(first.room).toBe(0);
  again.end(hanging, undefined);
  expect(again.room).toBe(1);
  first.end(probe, SILENT);
  expect([first.room, again.room]).toEqual([0, 0]);
  clock.advance(1_000);
  expect([first.room, again.room]).toEqual([1, 1]);
});

test("rows that are being taken have their calls reserved", () => {
  const { first, again } = open();
  again.reserve(3);
  expect([again.room, again.inFlight, first.room]).toEqual([1, 0, 8]);
  again.begin();
  expect(again.room).toBe(0);
  again.reserve(-3);
  expect(again.room).toBe(3);
});

test("a row that is being taken is the one probe", () => {
  const { clock, first, again } = open();
  for (let count = 0; count < 5; count++) first.end(first.begin(), SILENT);
  clock.advance(500);
  first.reserve(1);
  again.reserve(1);
  expect([first.room, again.room]).toEqual([0, 0]);
  first.reserve(-1);
  expect([first.room, again.room]).toEqual([1, 0]);
});

test("a queue of first tries may have half of the calls, and one at least; one of other rows all that there are", () => {
  const { health, first, again } = open();
  const shares: number[][] = [];
  for (let count = 0; count < 5; count++) {
    shares.push([health.limit, first.maxOfQueue, again.maxOfQueue]);
    health.end(health.begin(), { ...SILENT, again: true, overloaded: true });
  }
  expect(shares).toEqual([
    [12, 4, 4],
    [6, 3, 4],
    [3, 2, 3],
    [1, 1, 1],
    [1, 1, 1],
  ]);
});
