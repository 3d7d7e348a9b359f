import { describe, expect, test } from "vitest";
import { COMPENSATION_BACKOFF } from "../../src/resilience/backoff.ts";
import { type CallEnd, type CallFailure, EndpointHealth } from "../../src/resilience/endpoint-health.ts";
import { Outage } from "../../src/resilience/outage.ts";
import { FakeClock } from "./fake-clock.ts";

const NEW: CallFailure = { again: false, how: "answered", overloaded: false, retryAfterMs: 0 };
const AGAIN: CallFailure = { ...NEW, again: true };

function open(maxInFlight = 16) {
  const clock = new FakeClock();
  const seen = { down: [] as boolean[] };
  const health = new EndpointHealth({ maxInFlight, clock, random: () => 1, onDown: (down) => seen.down.push(down) });
  const first = health.lane(maxInFlight, "first");
  const again = health.lane(maxInFlight, "again");
  return { clock, health, seen, first, again };
}

function call(health: EndpointHealth, end: CallEnd, times = 1): void {
  for (let count = 0; count < times; count++) health.end(health.begin(), end);
}

describe("down", () => {
  test("and up again: rows wait for longer as time passes, also where the wall clock was set back by an hour meanwhile", () => {
    const { clock, health } = open();
    call(health, NEW, 5);
    call(health, "ok");
    clock.jump(-3_600_000);
    const pauseMs = () => health.pauseMs(20, COMPENSATION_BACKOFF);
    expect(pauseMs()).toBe(200);
    clock.advance(60_000);
    expect(pauseMs()).toBe(60_000);
    clock.jump(3_600_000);
    expect(pauseMs()).toBe(3_600_000);
  });

  test.each([
    ["that were answered", NEW],
    ["that got no answer", { ...NEW, how: "silent" }],
    ["that got no connection", { ...NEW, how: "unconnected" }],
    ["of rows that failed before, but no connection came about", { ...AGAIN, how: "unconnected" }],
  ] as [string, CallFailure][])("after five failures in a row %s", (_name, failure) => {
    const { health, seen, first, again } = open();
    call(health, failure, 4);
    call(health, "ok");
    call(health, failure, 4);
    expect([health.down, seen.down, first.room]).toEqual([false, [], 16]);
    call(health, failure);
    expect([health.down, seen.down, again.room]).toEqual([true, [true], 0]);
    // First tries wait too where no call was answered.
    const isSilent = failure.how !== "answered";
    expect([first.probing, first.room]).toEqual(isSilent ? [true, 0] : [false, 16]);
  });

  test.each([
    ["answered", AGAIN],
    ["silent", { ...AGAIN, how: "silent" }],
  ] as [string, CallFailure][])("never by rows that fail again, however often: %s", (_name, failure) => {
    const { health, seen, first, again } = open();
    call(health, NEW, 4);
    call(health, failure, 1_000);
    expect([health.down, first.probing, again.probing, again.room, seen.down]).toEqual([false, false, false, 16, []]);
    // The four still count: nothing went well since.
    call(health, NEW);
    expect(health.down).toBe(true);
  });

  test("not by calls that began before the last success: what hangs ends long after others went well", () => {
    const { health } = open();
    const hanging = Array.from({ length: 20 }, () => health.begin());
    const later = health.begin();
    health.end(later, "ok");
    for (const one of hanging) health.end(one, { ...NEW, how: "silent" });
    expect(health.down).toBe(false);
    call(health, NEW, 5);
    expect(health.down).toBe(true);
  });

  test("a failure of a call from before the last success is no probe either", () => {
    const { clock, health } = open();
    const early = health.begin();
    call(health, "ok");
    call(health, NEW, 5);
    clock.advance(500);
    health.end(early, AGAIN);
    expect(clock.asked).toEqual([500]);
  });

  test.each([true, false])("any success ends it, during a pause: %s; the next outage begins small again", (paused) => {
    const { clock, health, seen, first, again } = open();
    const early = health.begin();
    call(health, { ...NEW, how: "silent" }, 5);
    clock.advance(500);
    call(health, { ...NEW, how: "silent" });
    if (!paused) clock.advance(1_000);
    expect([again.room, again.probing, first.room, first.probing]).toEqual(paused ? [0, true, 0, true] : [1, true, 1, true]);
    health.end(early, "ok");
    expect([again.room, again.probing, first.room, first.probing, clock.timers]).toEqual([16, false, 16, false, 0]);
    expect(seen.down).toEqual([true, false]);
    clock.asked.length = 0;
    call(health, NEW, 5);
    expect(clock.asked).toEqual([500]);
  });

  test("a call that was cut off says nothing, up or down", () => {
    const { clock, health } = open();
    call(health, undefined, 10);
    expect([health.down, health.inFlight, health.limit]).toEqual([false, 0, 16]);
    call(health, NEW, 4);
    call(health, undefined, 10);
    call(health, NEW);
    expect(health.down).toBe(true);
    call(health, undefined, 10);
    expect([health.down, clock.asked]).toEqual([true, [500]]);
  });
});

describe("silent", () => {
  const SILENT: CallFailure = { ...NEW, how: "silent" };

  test("any answer keeps first tries going, however bad: only rows that failed before wait", () => {
    const { health, first, again } = open();
    for (let count = 0; count < 20; count++) {
      call(health, SILENT, 4);
      call(health, NEW);
    }
    expect([health.down, again.room, first.probing, first.room]).toEqual([true, 0, false, 16]);
  });

  test("an answer to a row that fails again ends it, and leaves it down", () => {
    const { clock, health, first, again } = open();
    call(health, SILENT, 5);
    clock.advance(500);
    call(health, AGAIN);
    expect([first.probing, first.room, again.probing, again.room, health.down]).toEqual([false, 16, true, 0, true]);
  });

  test("not by calls that began before the last answer", () => {
    const { health, first } = open();
    const hanging = Array.from({ length: 20 }, () => health.begin());
    call(health, AGAIN);
    for (const one of hanging) health.end(one, SILENT);
    expect(first.probing).toBe(false);
    call(health, SILENT, 5);
    expect(first.probing).toBe(true);
  });
});

function openOutage(random = () => 1) {
  const clock = new FakeClock();
  const seen = { changes: [] as boolean[], probes: 0 };
  const outage: Outage = new Outage({ clock, random, onChange: (on) => seen.changes.push(on), onProbe: () => seen.probes++ });
  return { clock, outage, seen };
}

function sign(outage: Outage, times: number): void {
  for (let count = 0; count < times; count++) outage.sign();
}

test("an outage has a pause before each probe, twice as long each time up to ten seconds; afterwards it begins small again", () => {
  const { clock, outage, seen } = openOutage();
  for (let round = 0; round < 2; round++) {
    sign(outage, 5);
    clock.asked.length = 0;
    seen.probes = 0;
    for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      clock.advance(pauseMs - 1);
      const before = seen.probes;
      expect(outage.paused).toBe(true);
      clock.advance(1);
      expect([outage.on, outage.paused, seen.probes]).toEqual([true, false, before + 1]);
      outage.sign();
    }
    expect(clock.asked).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    outage.end();
    expect([outage.on, outage.paused, clock.timers]).toEqual([false, false, 0]);
  }
  expect(seen.changes).toEqual([true, false, true, false]);
});

test("half of the pause before a probe is chance", () => {
  const { clock, outage } = openOutage(() => 0);
  sign(outage, 5);
  clock.advance(250);
  outage.sign();
  expect(clock.asked).toEqual([250, 500]);
});
