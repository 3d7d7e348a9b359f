import { expect, test } from "vitest";
import { Outage } from "../../src/resilience/outage.ts";
import { FakeClock } from "./fake-clock.ts";

function open(random = () => 1) {
  const clock = new FakeClock();
  const seen = { changes: [] as boolean[], probes: 0 };
  const outage: Outage = new Outage({ clock, random, onChange: (on) => seen.changes.push(on), onProbe: () => seen.probes++ });
  return { clock, outage, seen };
}

function sign(outage: Outage, times: number): void {
  for (let count = 0; count < times; count++) outage.sign();
}

test("the fifth sign in a row begins it, and one of the opposite begins the count again", () => {
  const { clock, outage, seen } = open();
  sign(outage, 4);
  outage.end();
  sign(outage, 4);
  expect([outage.on, outage.paused, seen.changes, clock.timers]).toEqual([false, false, [], 0]);
  outage.sign();
  expect([outage.on, outage.paused, seen.changes, clock.asked]).toEqual([true, true, [true], [500]]);
});

test("a pause before each probe, twice as long each time up to ten seconds; afterwards it begins small again", () => {
  const { clock, outage, seen } = open();
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

test("half of a pause is chance", () => {
  const { clock, outage } = open(() => 0);
  sign(outage, 5);
  clock.advance(250);
  outage.sign();
  expect(clock.asked).toEqual([250, 500]);
});

test("signs during a pause say what is known: they neither lengthen it nor count", () => {
  const { clock, outage, seen } = open();
  sign(outage, 50);
  expect(clock.asked).toEqual([500]);
  clock.advance(500);
  expect(seen.probes).toBe(1);
  outage.sign();
  expect(clock.asked).toEqual([500, 1_000]);
});

test("it ends at once, also during a pause: then no probe is announced", () => {
  const { clock, outage, seen } = open();
  sign(outage, 5);
  outage.end();
  expect([outage.on, outage.paused, clock.timers, seen.changes]).toEqual([false, false, 0, [true, false]]);
  clock.advance(60_000);
  expect(seen.probes).toBe(0);
  // An end where nothing was is no news.
  outage.end();
  expect(seen.changes).toEqual([true, false]);
});

test("closed, it has no timer and begins none", () => {
  const { clock, outage, seen } = open();
  sign(outage, 5);
  expect(clock.timers).toBe(1);
  outage.close();
  expect(clock.timers).toBe(0);
  sign(outage, 5);
  outage.end();
  sign(outage, 5);
  expect([clock.timers, clock.asked]).toEqual([0, [500]]);
  clock.advance(60_000);
  expect(seen.probes).toBe(0);
});
