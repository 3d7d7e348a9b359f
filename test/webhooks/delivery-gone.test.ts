import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

  test("what was under way when it came is marked, and stop ends the check for expired events", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b");
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId === "a") await gate.promise;
      return (arrival.orderId === "a" ? accept : refuse(410))(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    gate.resolve();
    await fixture.untilAtOnce(() => fixture.outbox.size === 1);
    expect(fixture.outbox.delivered).toEqual([1]);
    await fixture.delivery.stop();
    expect(fixture.clock.timers).toBe(0);
    fixture.delivery.resume();
    await fixture.quiet();
    expect(fixture.receiver.arrivals).toHaveLength(2);
  });
});
