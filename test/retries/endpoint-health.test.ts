import { expect, test } from "vitest";
import { type EndpointFailure, EndpointHealth } from "../../src/retries/endpoint-health.ts";
import { FakeClock } from "./fake-clock.ts";

const FAILED: EndpointFailure = { counts: true, overloaded: false, pauseMs: 0 };

function open(maxInFlight = 16) {
  const clock = new FakeClock();
  const seen = { resumed: 0, down: [] as boolean[] };
  const health = new EndpointHealth({ maxInFlight, clock, random: () => 1, onDown: (down) => seen.down.push(down) });
  return { clock, health, seen };
}

/** From now on. */
function countResumes({ health, seen }: ReturnType<typeof open>): void {
  health.onResume(() => seen.resumed++);
}

function fail(health: EndpointHealth, failure = FAILED): void {
  health.end(health.begin(), failure);
}

function takeDown(health: EndpointHealth): void {
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

test("down: after each pause one probe, the pauses twice as long up to ten seconds, until one succeeds", () => {
  const opened = open();
  const { clock, health, seen } = opened;
  takeDown(health);
  countResumes(opened);
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    clock.advance(pauseMs - 1);
    expect(health.mayStart).toBe(false);
    clock.advance(1);
    expect(health.mayStart).toBe(true);
    const probe = health.begin();
    expect(health.mayStart).toBe(false);
    health.end(probe, FAILED);
  }
  expect(seen.resumed).toBe(7);
  clock.advance(10_000);
  health.end(health.begin(), "ok");
  expect(health).toMatchObject({ down: false, mayStart: true });
  expect(seen.down).toEqual([true, false]);
});

test("once it is up again the requests at a time grow from one with each success", () => {
  const { clock, health } = open(4);
  takeDown(health);
  clock.advance(500);
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
  expect(clock.asked).toEqual([500]);
  health.end(earlier[15] ?? 0, "ok");
  expect(health).toMatchObject({ down: true, mayStart: false });
  clock.advance(500);
  fail(health);
  expect(clock.asked).toEqual([500, 1_000]);
});

test("pauses asked for by late answers overlap; the last one counts", () => {
  const opened = open();
  const { clock, health, seen } = opened;
  const [first, second, third] = [health.begin(), health.begin(), health.begin()];
  for (const [epoch, pauseMs] of [
    [first, 3_000],
    [second, 9_000],
    [third, 1_000],
  ] as const)
    health.end(epoch, { counts: true, overloaded: true, pauseMs });
  countResumes(opened);
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

test("a call that did not ask ends the pause with its success, and puts the next probe off with no failure", () => {
  const { clock, health } = open();
  takeDown(health);
  for (let count = 0; count < 20; count++) fail(health);
  expect(clock.asked).toEqual([500]);
  health.end(health.begin(), "ok");
  expect(health).toMatchObject({ down: false, mayStart: true });
  expect(clock.timers).toBe(0);
});

test("a pause that the endpoint asked for outlasts a success", () => {
  const { clock, health } = open();
  fail(health, { counts: true, overloaded: true, pauseMs: 3_000 });
  health.end(health.begin(), "ok");
  expect(health).toMatchObject({ paused: true, mayStart: false });
  clock.advance(3_000);
  expect(health).toMatchObject({ paused: false, mayStart: true });
});

test("a call that was cut off says nothing", () => {
  const { health } = open();
  for (let count = 0; count < 10; count++) health.end(health.begin(), undefined);
  expect(health).toMatchObject({ down: false, inFlight: 0, limit: 16 });
  takeDown(health);
  health.end(health.begin(), undefined);
  expect(health).toMatchObject({ down: true, paused: true });
});

test("a limit that others used up notifies every listener when there is room again, until it unsubscribes", () => {
  const { health } = open(1);
  const notified = [0, 0];
  health.onResume(() => (notified[0] = (notified[0] ?? 0) + 1));
  const unsubscribe = health.onResume(() => (notified[1] = (notified[1] ?? 0) + 1));
  const call = health.begin();
  expect(health.mayStart).toBe(false);
  health.end(call, "ok");
  unsubscribe();
  fail(health);
  expect(notified).toEqual([2, 1]);
});

test("taken down by somebody else it is as after failures of its own, and up again as soon as somebody has an answer", () => {
  const opened = open();
  const { clock, health, seen } = opened;
  health.takeDown();
  health.takeDown();
  expect(health).toMatchObject({ down: true, paused: true, limit: 1 });
  expect(clock.asked).toEqual([500]);
  countResumes(opened);
  health.answered();
  expect(health).toMatchObject({ down: false, mayStart: true });
  expect([clock.timers, seen.resumed, seen.down]).toEqual([0, 1, [true, false]]);
});

test("where its own calls fail, somebody else's answer only brings the next probe forward", () => {
  const { clock, health, seen } = open();
  takeDown(health);
  health.answered();
  expect(health).toMatchObject({ down: true, mayStart: true, limit: 1 });
  fail(health);
  expect(clock.asked).toEqual([500, 1_000]);
  expect(seen.down).toEqual([true]);
  // Taken down, and then a probe of its own failed: the same.
  const other = open();
  other.health.takeDown();
  other.clock.advance(500);
  fail(other.health);
  other.health.answered();
  expect(other.health.down).toBe(true);
});

test("somebody else's answer is nothing to one that is up, and does not end a pause that the endpoint asked for", () => {
  const { clock, health, seen } = open();
  health.answered();
  health.pause(3_000);
  health.takeDown();
  health.answered();
  expect(health).toMatchObject({ down: false, paused: true, mayStart: false });
  clock.advance(3_000);
  expect(health.mayStart).toBe(true);
  expect(seen.down).toEqual([true, false]);
});
