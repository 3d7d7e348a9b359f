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
    for (let index = 0; index < 500; index++) fixture.add(`order ${index % 90}`);
    const createdMs = fixture.clock.nowMs();
    fixture.clock.advance(23 * HOUR_MS);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size > 0);
    await fixture.quiet();
    expect(fixture.outbox.dead.size).toBe(500);
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

  test("younger events stay", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b");
    fixture.clock.advance(10 * HOUR_MS);
    fixture.add("a", "c");
    fixture.clock.advance(14 * HOUR_MS - 10 * MINUTE_MS);
    await fixture.receiver.close();
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size > 0);
    await fixture.quiet();
    expect([...fixture.outbox.dead.keys()].toSorted()).toEqual([1, 2]);
    await fixture.receiver.listen();
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
