import { describe, expect, test } from "vitest";
import { type CallEnd, type CallFailure, EndpointHealth } from "../../src/resilience/endpoint-health.ts";
import { FakeClock } from "./fake-clock.ts";

const NEW: CallFailure = { again: false, how: "answered", overloaded: false, retryAfterMs: 0 };
const AGAIN: CallFailure = { ...NEW, again: true };
const ASKED: CallFailure = { ...NEW, overloaded: true, retryAfterMs: 5_000 };

function open(maxInFlight = 16) {
  const clock = new FakeClock();
  const seen = { resumed: 0 };
  const health = new EndpointHealth({ maxInFlight, clock, random: () => 1 });
  const first = health.lane(maxInFlight, "first");
  const again = health.lane(maxInFlight, "again");
  return { clock, health, seen, first, again };
}

function call(health: EndpointHealth, end: CallEnd, times = 1): void {
  for (let count = 0; count < times; count++) health.end(health.begin(), end);
}

describe("the limit", () => {
  test("is halved by each answer that says there is too much to do, to one at least; each success gives one back", () => {
    const { health, first, again } = open();
    const limits: number[] = [];
    for (let count = 0; count < 6; count++) {
      call(health, { ...AGAIN, overloaded: true });
      limits.push(health.limit);
    }
    expect([limits, first.room, again.room]).toEqual([[8, 4, 2, 1, 1, 1], 1, 1]);
    for (let count = 0; count < 20; count++) call(health, "ok");
    expect([health.limit, first.room]).toEqual([16, 16]);
    call(health, AGAIN, 20);
    expect(health.limit).toBe(16);
  });

  test("trouble elsewhere makes it four, never none, and successes bring it back", () => {
    const { health, first, again } = open();
    health.slow();
    health.slow();
    expect([health.limit, first.room, again.room]).toEqual([4, 4, 4]);
    call(health, "ok", 12);
    expect(health.limit).toBe(16);
    const small = open(2);
    small.health.slow();
    expect(small.health.limit).toBe(2);
    call(health, { ...AGAIN, overloaded: true }, 4);
    health.slow();
    expect(health.limit).toBe(1);
  });
});

describe("Retry-After", () => {
  test("of three calls in a row holds every lane for so long; one or two never do", () => {
    const { clock, health, first, again } = open();
    call(health, ASKED, 2);
    expect([health.isAskedToWait, first.room > 0, again.room > 0]).toEqual([false, true, true]);
    call(health, ASKED);
    expect([health.isAskedToWait, first.room, again.room]).toEqual([true, 0, 0]);
    clock.advance(4_999);
    expect(health.isAskedToWait).toBe(true);
    clock.advance(1);
    expect([health.isAskedToWait, first.room > 0, again.room > 0]).toEqual([false, true, true]);
  });

  test("a success in between begins the count again; one during a hold does not end it", () => {
    const { clock, health } = open();
    call(health, ASKED, 2);
    call(health, "ok");
    call(health, ASKED, 2);
    expect(health.isAskedToWait).toBe(false);
    const underWay = health.begin();
    call(health, ASKED);
    health.end(underWay, "ok");
    expect(health.isAskedToWait).toBe(true);
    clock.advance(5_000);
    expect(health.isAskedToWait).toBe(false);
  });

  test("of one row that comes back whenever it may holds nobody else", () => {
    const { clock, health, first } = open();
    for (let count = 0; count < 20; count++) {
      call(health, { ...ASKED, again: true });
      expect([health.isAskedToWait, first.room > 0]).toEqual([false, true]);
      clock.advance(5_000);
    }
  });

  test("of calls that were under way changes nothing, and after the hold it takes three again", () => {
    const { clock, health } = open();
    const asked = { ...ASKED, again: true };
    const underWay = Array.from({ length: 6 }, () => health.begin());
    call(health, asked, 3);
    for (const one of underWay) health.end(one, { ...asked, retryAfterMs: 60_000 });
    expect(clock.asked).toEqual([5_000]);
    clock.advance(5_000);
    expect([health.isAskedToWait, clock.timers]).toEqual([false, 0]);
    call(health, asked, 2);
    expect(health.isAskedToWait).toBe(false);
    call(health, asked);
    expect(health.isAskedToWait).toBe(true);
  });
});

test("whoever waits for room hears of each call that ends, of each probe that is due and of the end of a hold, until it unsubscribes", () => {
  const { clock, health, seen } = open();
  const other = { resumed: 0 };
  health.onResume(() => seen.resumed++);
  const unsubscribe = health.onResume(() => other.resumed++);
  call(health, "ok");
  call(health, undefined);
  expect([seen.resumed, other.resumed]).toEqual([2, 2]);
  unsubscribe();
  call(health, { ...NEW, how: "silent" }, 5);
  expect(seen.resumed).toBe(7);
  clock.advance(500);
  // Both outages.
  expect(seen.resumed).toBe(9);
  call(health, "ok");
  call(health, ASKED, 3);
  expect(seen.resumed).toBe(13);
  clock.advance(5_000);
  expect([seen.resumed, other.resumed]).toEqual([14, 2]);
});

test("closed, it has no timer, begins none whatever it hears, and tells nobody", () => {
  const { clock, health, seen } = open();
  health.onResume(() => seen.resumed++);
  const late = Array.from({ length: 10 }, () => health.begin());
  call(health, { ...ASKED, how: "silent" }, 5);
  expect(clock.timers).toBe(3);
  health.close();
  seen.resumed = 0;
  expect(clock.timers).toBe(0);
  for (const one of late) health.end(one, { ...ASKED, how: "silent" });
  call(health, "ok");
  call(health, { ...ASKED, how: "unconnected" }, 10);
  expect([clock.timers, seen.resumed]).toEqual([0, 0]);
});

const SILENT: CallFailure = { again: false, how: "silent", overloaded: false, retryAfterMs: 0 };

function openLanes(maxInFlight = 12) {
  const clock = new FakeClock();
  const health = new EndpointHealth({ maxInFlight, clock, random: () => 1 });
  return { clock, health, first: health.lane(8, "first"), again: health.lane(4, "again") };
}

test("a lane has as many calls as it may, whatever the other lane has under way", () => {
  const { health, first, again } = openLanes();
  const calls = Array.from({ length: 4 }, () => again.begin());
  expect([again.room, first.room, health.inFlight]).toEqual([0, 8, 4]);
  // More than it may: calls that do not ask.
  calls.push(again.begin());
  expect(again.room).toBe(0);
  for (const call of calls) again.end(call, undefined);
  expect([again.room, health.inFlight]).toEqual([4, 0]);
});

test("the limit is that of each lane: what hangs in one does not keep the other waiting, however low it is", () => {
  const { health, first, again } = openLanes();
  for (let count = 0; count < 6; count++) health.end(health.begin(), { ...SILENT, again: true, overloaded: true });
  expect([health.limit, first.room, again.room]).toEqual([1, 1, 1]);
  again.begin();
  expect([first.room, again.room]).toEqual([1, 0]);
  const call = first.begin();
  expect(first.room).toBe(0);
  first.end(call, "ok");
  expect([first.room, again.room]).toEqual([2, 1]);
});

test("probing, a lane has one call at a time, also when an earlier one still hangs, and none during the pause", () => {
  const { clock, first, again } = openLanes();
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

test("a row that is being taken is the one probe", () => {
  const { clock, first, again } = openLanes();
  for (let count = 0; count < 5; count++) first.end(first.begin(), SILENT);
  clock.advance(500);
  first.reserve(1);
  again.reserve(1);
  expect([first.room, again.room]).toEqual([0, 0]);
  first.reserve(-1);
  expect([first.room, again.room]).toEqual([1, 0]);
});

test("a queue of first tries may have half of the calls, and one at least; one of other rows all that there are", () => {
  const { health, first, again } = openLanes();
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
