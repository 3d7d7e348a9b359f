import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;

describe("a receiver that is down", () => {
  test("is probed with one request at a time, ever more rarely, and gets everything once it is back", async () => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 100; index++) fixture.add(`order ${index % 40}`);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
    await fixture.quiet();
    const volley = fixture.receiver.arrivals.length;
    // 16 at once, and one more for each of the four failures before the fifth.
    expect(volley).toBeLessThanOrEqual(20);
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 10 * MINUTE_MS);
    await fixture.quiet();
    const probes = fixture.receiver.arrivals.length - volley;
    // At the cap of ten seconds, of which half is chance.
    expect(probes).toBeGreaterThanOrEqual(60);
    expect(probes).toBeLessThanOrEqual(130);
    expect(fixture.outbox.size).toBe(100);

    fixture.receiver.behavior = accept;
    await fixture.until(() => fixture.delivery.state().receiver === "up");
    // Whatever had failed goes at once: no pause of its own keeps it.
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    fixture.expectAllInOrder();
    expect(fixture.logged.filter(({ level }) => level === "info" || level === "warn").map(({ message }) => message)).toEqual(
      expect.arrayContaining(["the webhook receiver is down: probing it with one request at a time", "the webhook receiver is up again"]),
    );
  });

  test.each([
    ["no connection comes about: each says so of the receiver", true],
    ["each is refused again, which says nothing of the receiver", false],
  ])("to events that had failed before a restart, %s", async (_name, unconnected) => {
    await using fixture = await Fixture.open({ random: () => 1 });
    for (let index = 0; index < 10; index++) fixture.add(`order ${index}`);
    fixture.receiver.behavior = refuse(500);
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.events.every((_, index) => fixture.receiver.seqs().includes(index + 1)));
    await fixture.quiet();
    if (unconnected) await fixture.receiver.close();
    await fixture.restart();
    const sinceMs = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - sinceMs > MINUTE_MS);
    expect(fixture.delivery.state().receiver).toBe(unconnected ? "down" : "up");
    await fixture.receiver.listen();
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("a few events that are always refused do not make it look down to the others", async () => {
    await using fixture = await Fixture.open({ random: () => 1 });
    const bad = Array.from({ length: 20 }, (_, index) => `bad ${index}`);
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") ? refuse(400) : accept)(arrival, response, request);
    fixture.add(...bad);
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
    fixture.add("good");
    fixture.delivery.notify();
    await fixture.until(() => fixture.outbox.size === 20);
    expect(fixture.delivery.state().receiver).toBe("up");
    const since = fixture.clock.nowMs();
    for (let round = 0; round < 20; round++) {
      await fixture.until(() => fixture.clock.nowMs() - since > round * MINUTE_MS);
      fixture.add("good");
      fixture.delivery.notify();
      await fixture.untilAtOnce(() => fixture.outbox.size === 20);
    }
  });
});

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

const ORDERS = 200;

/** Whatever is sent for the order "bad" fails, in turn: 500, no answer, a cut connection. */
function failBadOrder(fixture: Fixture): Behavior {
  const failures: readonly Behavior[] = [refuse(500), fixture.receiver.keepSilent, hangUp];
  let failed = 0;
  return (arrival, response, request) =>
    (arrival.orderId === "bad" ? (failures[failed++ % 3] as Behavior) : accept)(arrival, response, request);
}

describe("one order among many whose events always fail", () => {
  test("stops no event of any other: they are delivered while no time passes, however often it has failed", async () => {
    await using fixture = await Fixture.open();
    fixture.receiver.behavior = failBadOrder(fixture);
    for (let n = 0; n < ORDERS; n++) fixture.add("bad", `order ${n}`);
    fixture.delivery.start();
    const startMs = fixture.clock.nowMs();
    await fixture.untilAtOnce(() => fixture.outbox.delivered.length === ORDERS);
    expect(fixture.clock.nowMs()).toBe(startMs);
    const tries = () => fixture.receiver.arrivals.filter(({ orderId }) => orderId === "bad").length;
    for (let round = 1; round <= 6; round++) {
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
