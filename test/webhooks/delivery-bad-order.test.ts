import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

const ORDERS = 1_000;
const HOUR_MS = 3_600_000;

/** Whatever is sent for the order "bad" fails, in turn: 500, no answer, a cut connection. */
function failBadOrder(fixture: Fixture): Behavior {
  const failures: readonly Behavior[] = [refuse(500), fixture.receiver.keepSilent, hangUp];
  let failed = 0;
  return (arrival, response, request) =>
    (arrival.orderId === "bad" ? (failures[failed++ % 3] as Behavior) : accept)(arrival, response, request);
}

describe("one order among a thousand whose events always fail", () => {
  test("stops no event of any other: they are delivered while no time passes, however often it has failed", async () => {
    await using fixture = await Fixture.open();
    fixture.receiver.behavior = failBadOrder(fixture);
    for (let n = 0; n < ORDERS; n++) fixture.add("bad", `order ${n}`);
    fixture.delivery.start();
    const startMs = fixture.clock.nowMs();
    await fixture.untilAtOnce(() => fixture.outbox.delivered.length === ORDERS);
    expect(fixture.clock.nowMs()).toBe(startMs);
    const tries = () => fixture.receiver.arrivals.filter(({ orderId }) => orderId === "bad").length;
    for (let round = 1; round <= 12; round++) {
      const before = tries();
      await fixture.until(() => tries() > before);
      await fixture.quiet();
      const atMs = fixture.clock.nowMs();
      for (let n = 0; n < 20; n++) fixture.add(`order ${n}`);
      fixture.delivery.notify();
      await fixture.untilAtOnce(() => fixture.outbox.delivered.length === ORDERS + round * 20);
      expect([fixture.clock.nowMs(), fixture.delivery.state().receiver]).toEqual([atMs, "up"]);
    }
    // Always its first one, one at a time.
    expect(new Set(fixture.receiver.arrivals.filter(({ orderId }) => orderId === "bad").map(({ seq }) => seq))).toEqual(new Set([1]));
    expect(fixture.logged.filter(({ message }) => message.includes("down"))).toEqual([]);
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("does not make the receiver look down in an hour in which nothing else is sent", async () => {
    await using fixture = await Fixture.open();
    fixture.receiver.behavior = failBadOrder(fixture);
    fixture.add("bad");
    fixture.delivery.start();
    const startMs = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - startMs > HOUR_MS);
    expect(fixture.receiver.arrivals.length).toBeGreaterThan(10);
    expect([fixture.delivery.state().receiver, fixture.logged.filter(({ message }) => message.includes("down"))]).toEqual(["up", []]);
  });
});

test("a receiver that is down is probed with the event tried least: one that it takes does not wait for those that it never takes", async () => {
  await using fixture = await Fixture.open();
  fixture.receiver.behavior = (arrival, response, request) =>
    (arrival.orderId.startsWith("bad") ? refuse(500) : accept)(arrival, response, request);
  for (let n = 0; n < 40; n++) fixture.add(`bad ${n}`);
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
  const startMs = fixture.clock.nowMs();
  // Until each has been a probe.
  await fixture.until(() => fixture.clock.nowMs() - startMs > 400_000);
  await fixture.quiet();
  expect(new Set(fixture.receiver.arrivals.map(({ orderId }) => orderId)).size).toBe(40);
  const before = fixture.receiver.arrivals.length;
  fixture.add("good");
  fixture.delivery.notify();
  await fixture.quiet();
  expect(fixture.receiver.arrivals).toHaveLength(before);
  await fixture.until(() => fixture.receiver.arrivals.length > before);
  expect(fixture.receiver.arrivals[before]?.orderId).toBe("good");
  await fixture.until(() => fixture.outbox.size === 40);
  expect(fixture.delivery.state().receiver).toBe("up");
  // They are back each at its own pace, and no longer say anything of the receiver.
  for (let round = 0; round < 20; round++) {
    const atMs = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - atMs > 60_000);
    await fixture.quiet();
    fixture.add("good");
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => fixture.outbox.size === 40);
  }
  expect(fixture.delivery.state().receiver).toBe("up");
});
