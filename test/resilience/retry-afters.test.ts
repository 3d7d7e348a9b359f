import { expect, test } from "vitest";
import { RetryAfters } from "../../src/resilience/retry-afters.ts";

test("of three that wait at one time the third holds the address, for as long as it says; then the count begins again", () => {
  const asked = new RetryAfters();
  expect([asked.note(5_000, 0), asked.note(5_000, 10), asked.note(7_000, 20)]).toEqual([0, 0, 7_000]);
  expect([asked.note(5_000, 30), asked.note(5_000, 40), asked.note(5_000, 50)]).toEqual([0, 0, 5_000]);
});

test("never for longer than a minute", () => {
  const asked = new RetryAfters();
  expect([asked.note(3_600_000, 0), asked.note(3_600_000, 0), asked.note(3_600_000, 0)]).toEqual([0, 0, 60_000]);
});

test("one call that is answered so whenever it comes back never holds the address", () => {
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

test("a third within the shorter wait is another call", () => {
  const asked = new RetryAfters();
  expect([asked.note(60_000, 0), asked.note(1_000, 500), asked.note(30_000, 1_499)]).toEqual([0, 0, 30_000]);
});

test("whatever goes well in between begins the count again", () => {
  const asked = new RetryAfters();
  asked.note(5_000, 0);
  asked.note(5_000, 0);
  asked.forget();
  expect([asked.note(5_000, 0), asked.note(5_000, 0), asked.note(5_000, 0)]).toEqual([0, 0, 5_000]);
});
