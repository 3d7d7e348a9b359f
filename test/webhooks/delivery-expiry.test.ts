import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, hangUp, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("after 24 h", () => {
  test("an event is given up with the reason of its last failure, and the order's next one goes", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a", "b");
    const createdMs = fixture.clock.nowMs();
    fixture.receiver.behavior = (arrival, response, request) => (arrival.seq === 1 ? refuse(418) : accept)(arrival, response, request);
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size === 1);
    const dead = fixture.outbox.dead.get(1);
    expect(dead?.reason).toBe("HTTP 418");
    expect((dead?.atMs ?? 0) - createdMs).toBe(24 * HOUR_MS);
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals.filter(({ seq }) => seq === 1).length).toBeLessThan(300);
    expect(fixture.logged.filter(({ level }) => level === "error")).toMatchObject([
      { fields: { order_id: "a", seq: 1, reason: "HTTP 418" } },
    ]);
  });

  test("a receiver that is down is asked with one event for all, also for those not yet read", async () => {
    await using fixture = await Fixture.open({ maxRequests: 4 });
    for (let index = 0; index < 200; index++) fixture.add(`order ${index % 90}`);
    const createdMs = fixture.clock.nowMs();
    fixture.clock.advance(23 * HOUR_MS);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size > 0);
    await fixture.quiet();
    expect(fixture.outbox.dead.size).toBe(200);
    for (const { reason, atMs } of fixture.outbox.dead.values()) {
      expect(reason).toContain("ECONNRESET");
      expect(atMs - createdMs).toBeGreaterThanOrEqual(24 * HOUR_MS);
      expect(atMs - createdMs).toBeLessThan(24 * HOUR_MS + 2 * MINUTE_MS);
    }
    expect(fixture.outbox.mostGivenUpAtOnce).toBe(64);
    fixture.receiver.behavior = accept;
    fixture.add("order 1");
    fixture.delivery.notify();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("an event that is under way is not given up with the others", async () => {
    await using fixture = await Fixture.open({ startGraceMs: 0 });
    fixture.add("a", "b", "c", "d", "e", "slow");
    fixture.clock.advance(24 * HOUR_MS);
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId !== "slow") return hangUp(arrival, response, request);
      await gate.promise;
      return accept(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.outbox.dead.size === 5);
    await fixture.turns();
    expect(fixture.delivery.state()).toEqual({ receiver: "down", inFlight: 1 });
    gate.resolve();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    expect(fixture.outbox.dead.size).toBe(5);
    expect(fixture.outbox.delivered).toEqual([6]);
  });

  test("after a long stop an event still gets its try, and a receiver that starts later a minute", async () => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 30; index++) fixture.add(`order ${index}`);
    fixture.clock.advance(48 * HOUR_MS);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 30_000);
    expect(fixture.outbox.dead.size).toBe(0);
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    expect(fixture.outbox.dead.size).toBe(0);
    fixture.expectAllInOrder();
  });
});

describe("410", () => {
  async function openGone(): Promise<Fixture> {
    const fixture = await Fixture.open();
    for (let index = 0; index < 40; index++) fixture.add(`order ${index % 10}`);
    fixture.receiver.behavior = (arrival, response, request) => (arrival.index < 12 ? accept : refuse(410))(arrival, response, request);
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    await fixture.quiet();
    return fixture;
  }

  test("ends delivery until a restart and keeps the events", async () => {
    await using fixture = await openGone();
    const arrived = fixture.receiver.arrivals.length;
    expect(fixture.outbox.size).toBe(28);
    fixture.clock.advance(50);
    await fixture.quiet();
    // The check for expired events.
    expect(fixture.clock.timers).toBe(1);
    const { reads } = fixture.outbox;
    fixture.add("late");
    fixture.delivery.notify();
    await fixture.quiet();
    expect(fixture.outbox.reads).toBe(reads);
    expect(fixture.receiver.arrivals).toHaveLength(arrived);
    expect(fixture.logged.filter(({ level }) => level === "error")).toHaveLength(1);

    fixture.receiver.behavior = accept;
    await fixture.restart();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("leaves nothing in hand, which other nodes could not deliver", async () => {
    await using fixture = await openGone();
    // Of ten orders there were up to ten events at one time.
    expect(fixture.outbox.mostOutstanding).toBe(10);
    expect(fixture.outbox.outstanding).toBe(0);
  });

  test("ends delivery until a resume, which may meet another one", async () => {
    await using fixture = await openGone();
    const arrived = fixture.receiver.arrivals.length;
    fixture.delivery.resume();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length > arrived);
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    await fixture.quiet();
    expect(fixture.outbox.size).toBe(28);

    fixture.receiver.behavior = accept;
    fixture.delivery.resume();
    fixture.delivery.resume();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    expect(fixture.delivery.state().receiver).toBe("up");
    fixture.expectAllInOrder();
    fixture.clock.advance(MINUTE_MS);
    await fixture.quiet();
    expect(fixture.clock.timers).toBe(0);
  });

  test("events keep their 24 h and are given up then, so that the outbox does not grow for ever", async () => {
    await using fixture = await openGone();
    const createdMs = fixture.clock.nowMs();
    const passed = async (ms: number): Promise<void> => void (await fixture.until(() => fixture.clock.nowMs() - createdMs >= ms));
    await passed(12 * HOUR_MS);
    for (let index = 0; index < 200; index++) fixture.add(`young ${index}`);
    await passed(24 * HOUR_MS - 1);
    expect(fixture.outbox.dead.size).toBe(0);
    await passed(24 * HOUR_MS + 2 * MINUTE_MS);
    await fixture.quiet();
    expect(fixture.outbox.dead.size).toBe(28);
    for (const { reason } of fixture.outbox.dead.values()) expect(reason).toContain("410");
    await passed(36 * HOUR_MS + 2 * MINUTE_MS);
    await fixture.quiet();
    expect(fixture.outbox.size).toBe(0);
    // Orders wait for a bounded transaction only.
    expect(fixture.outbox.mostGivenUpAtOnce).toBe(64);
  });
});
