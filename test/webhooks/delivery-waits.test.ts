import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, type Behavior, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("a receiver that has too much to do", () => {
  test("an event that is answered with Retry-After waits so long, and no other one does", async () => {
    await using fixture = await Fixture.open({ maxRequests: 2 });
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId === "patient" && fixture.receiver.arrivals.filter(({ orderId }) => orderId === "patient").length <= 2
        ? refuse(503, { "retry-after": "30" })
        : accept)(arrival, response, request);
    fixture.add("patient", "patient", "a", "b", "c", "a");
    const { clock, receiver } = fixture;
    const startMs = clock.nowMs();
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.outbox.size === 2);
    expect(clock.nowMs()).toBe(startMs);
    // Nor do those that come while it waits.
    fixture.add("later");
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => fixture.outbox.size === 2);
    await fixture.delivered();
    fixture.expectAllInOrder();
    const times = receiver.arrivals.filter(({ orderId }) => orderId === "patient").map(({ atSeconds }) => atSeconds);
    expect(times.map((time) => time - (times[0] ?? 0))).toEqual([0, 30, 60, 60]);
  });

  test("three that are answered so hold back every order, a minute at most", async () => {
    await using fixture = await Fixture.open({ maxRequests: 3 });
    fixture.add("a", "b", "c", "d");
    const { clock, receiver } = fixture;
    receiver.behavior = refuse(429, { "retry-after": "7200" });
    const startMs = clock.nowMs();
    fixture.delivery.start();
    await fixture.untilAtOnce(() => receiver.arrivals.length === 3);
    await fixture.quiet();
    receiver.behavior = accept;
    clock.advance(59_999);
    await fixture.quiet();
    expect(receiver.seqs().toSorted()).toEqual([1, 2, 3]);
    clock.advance(1);
    await fixture.untilAtOnce(() => fixture.outbox.size === 3);
    // The three were asked to wait for an hour each, which is what counts of two.
    await fixture.delivered();
    expect(clock.nowMs() - startMs).toBe(HOUR_MS);
    fixture.expectAllInOrder();
  });

  test("Retry-After as a date", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    const startMs = fixture.clock.nowMs();
    fixture.receiver.behavior = refuse(503, { "retry-after": new Date(fixture.clock.nowMs() + 2 * MINUTE_MS).toUTCString() });
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 1);
    await fixture.quiet();
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    // Its seconds are whole.
    expect(fixture.clock.nowMs() - startMs).toBeGreaterThan(2 * MINUTE_MS - 1_000);
    expect(fixture.clock.nowMs() - startMs).toBeLessThanOrEqual(2 * MINUTE_MS);
    expect(fixture.receiver.arrivals).toHaveLength(2);
  });

  test("Retry-After of a year is an hour", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.receiver.behavior = refuse(503, { "retry-after": "31536000" });
    const startMs = fixture.clock.nowMs();
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 1);
    await fixture.quiet();
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    expect(fixture.clock.nowMs() - startMs).toBe(HOUR_MS);
    expect(fixture.receiver.arrivals).toHaveLength(2);
  });

  test("Retry-After with another failure holds back each event that got it, however many", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b", "c", "d");
    const startMs = fixture.clock.nowMs();
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.seq < 5 && fixture.receiver.arrivals.length <= 4 ? refuse(500, { "retry-after": "300" }) : accept)(
        arrival,
        response,
        request,
      );
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 4);
    await fixture.quiet();
    fixture.add("e");
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => fixture.outbox.size === 4);
    await fixture.delivered();
    expect(fixture.clock.nowMs() - startMs).toBe(300_000);
    fixture.expectAllInOrder();
  });

  test.each([429, 502, 503, 504])("%d halves the requests at a time; successes bring them back", async (status) => {
    await using fixture = await Fixture.open({ maxRequests: 8 });
    const gates: (() => void)[] = [];
    const gated: Behavior = (arrival, response, request) => {
      gates.push(() => void accept(arrival, response, request));
    };
    fixture.receiver.behavior = refuse(status);
    fixture.add("x", "y");
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 2);
    await fixture.quiet();
    fixture.receiver.behavior = gated;
    for (let index = 0; index < 8; index++) fixture.add(`order ${index}`);
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => gates.length === 2);
    await fixture.turns();
    expect(fixture.receiver.inFlight).toBe(2);
    gates.shift()?.();
    await fixture.untilAtOnce(() => gates.length === 3);
    await fixture.turns();
    expect(fixture.receiver.inFlight).toBe(3);
    fixture.receiver.behavior = accept;
    for (const open of gates) open();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });
});
