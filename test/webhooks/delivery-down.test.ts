import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, hangUp, refuse } from "./receiver.ts";

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

  test("few events that were all probes many times wait no longer than a probe does, once it is back", async () => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 5; index++) fixture.add(`order ${index}`);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 30 * MINUTE_MS);
    await fixture.quiet();
    expect(fixture.receiver.arrivals.length).toBeGreaterThan(100);
    fixture.receiver.behavior = accept;
    const backMs = fixture.clock.nowMs();
    await fixture.delivered();
    expect(fixture.clock.nowMs() - backMs).toBeLessThanOrEqual(10_000);
  });

  test("nobody listens at first", async () => {
    await using fixture = await Fixture.open();
    await fixture.receiver.close();
    for (let index = 0; index < 50; index++) fixture.add(`order ${index % 7}`);
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 10 * MINUTE_MS);
    expect(fixture.logged[0]).toMatchObject({ fields: { reason: "ECONNREFUSED" } });
    await fixture.receiver.listen();
    await fixture.delivered();
    fixture.expectAllInOrder();
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

  test("events that are refused each for itself leave room for others beyond what is held", async () => {
    await using fixture = await Fixture.open();
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") && !fixed ? refuse(422) : accept)(arrival, response, request);
    let fixed = false;
    for (let index = 0; index < 200; index++) fixture.add(index % 2 === 0 ? `bad ${index}` : `good ${index}`, `bad ${index & ~1}`);
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.size === 300);
    expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(80);
    fixed = true;
    await fixture.delivered();
    fixture.expectAllInOrder();
  });
});
