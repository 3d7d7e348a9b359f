import { expect, test } from "vitest";
import { type ReceiverFailure, ReceiverHealth } from "../../src/webhooks/receiver-health.ts";
import { FakeClock } from "./fake-clock.ts";

const FAILED: ReceiverFailure = { counts: true, overloaded: false, pauseMs: 0 };

function open(maxRequests = 16) {
  const clock = new FakeClock();
  const seen = { resumed: 0 };
  const health = new ReceiverHealth({ maxRequests, clock, random: () => 1, onResume: () => seen.resumed++ });
  return { clock, health, seen };
}

function fail(health: ReceiverHealth, failure = FAILED): void {
  health.end(health.begin(), failure);
}

function takeDown(health: ReceiverHealth): void {
  for (let count = 0; count < 5; count++) fail(health);
}

test("the fifth failure in a row takes it down; a success in between does not let it come to that", () => {
  const { health } = open();
  for (let count = 0; count < 4; count++) fail(health);
  health.end(health.begin(), "ok");
  for (let count = 0; count < 4; count++) fail(health);
  expect(health.down).toBe(false);
  fail(health, { ...FAILED, counts: false });
  expect(health.down).toBe(false);
  fail(health);
  expect(health).toMatchObject({ down: true, mayStart: false });
});

test("down: after each pause one probe, the pauses twice as long up to a minute, until one succeeds", () => {
  const { clock, health, seen } = open();
  takeDown(health);
  for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    clock.advance(pauseMs - 1);
    expect(health.mayStart).toBe(false);
    clock.advance(1);
    expect(health.mayStart).toBe(true);
    const probe = health.begin();
    expect(health.mayStart).toBe(false);
    health.end(probe, FAILED);
  }
  expect(seen.resumed).toBe(6);
  clock.advance(60_000);
  health.end(health.begin(), "ok");
  expect(health).toMatchObject({ down: false, mayStart: true });
});

test("once it is up again the requests at a time grow from one with each success", () => {
  const { clock, health } = open(4);
  takeDown(health);
  clock.advance(5_000);
  health.end(health.begin(), "ok");
  const grown = [2, 3, 4, 4].map((expected) => {
    const started: number[] = [];
    while (health.mayStart) started.push(health.begin());
    for (const epoch of started) health.end(epoch, undefined);
    health.end(health.begin(), "ok");
    return started.length === expected;
  });
  expect(grown).toEqual([true, true, true, true]);
});

test("requests that were under way when it went down neither lengthen the pause nor end it", () => {
  const { clock, health } = open();
  const earlier = Array.from({ length: 16 }, () => health.begin());
  for (const epoch of earlier.slice(0, 15)) health.end(epoch, FAILED);
  expect(clock.asked).toEqual([5_000]);
  health.end(earlier[15] ?? 0, "ok");
  expect(health).toMatchObject({ down: true, mayStart: false });
  clock.advance(5_000);
  fail(health);
  expect(clock.asked).toEqual([5_000, 10_000]);
});

test("pauses asked for by late answers overlap; the last one counts", () => {
  const { clock, health, seen } = open();
  const [first, second, third] = [health.begin(), health.begin(), health.begin()];
  for (const [epoch, pauseMs] of [
    [first, 3_000],
    [second, 9_000],
    [third, 1_000],
  ] as const)
    health.end(epoch, { counts: true, overloaded: true, pauseMs });
  clock.advance(8_999);
  expect(health.mayStart).toBe(false);
  clock.advance(1);
  expect(health.mayStart).toBe(true);
  expect(seen.resumed).toBe(1);
});

test("a failure that comes in after close leaves no timer", () => {
  const { clock, health } = open();
  const late = health.begin();
  takeDown(health);
  health.close();
  health.end(late, { counts: true, overloaded: true, pauseMs: 60_000 });
  expect(clock.timers).toBe(0);
});
