import { describe, expect, test } from "vitest";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { Fixture, newSecret } from "./fixture.ts";
import { accept } from "./receiver.ts";

const MINUTE_MS = 60_000;

describe("when all is well", () => {
  test("delivers what was in the outbox and what comes, each once, signed", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b", "a");
    fixture.delivery.start();
    await fixture.delivered();
    fixture.add("b", "a", "c");
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    await fixture.quiet();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals).toHaveLength(6);
    expect(fixture.delivery.state()).toEqual({ receiver: "up", inFlight: 0 });
    // The last look whether something is left.
    fixture.clock.advance(50);
    await fixture.quiet();
    expect(fixture.clock.timers).toBe(0);
  });

  test("reads nothing before start, and starts once", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.delivery.notify();
    await fixture.quiet();
    expect(fixture.outbox.reads).toBe(0);
    fixture.delivery.start();
    expect(() => fixture.delivery.start()).toThrow("started before");
    await fixture.delivered();
  });

  test("a notify while the outbox is being read is not lost", async () => {
    await using fixture = await Fixture.open();
    fixture.delivery.start();
    // The second one at every stage of the read that the first one started.
    for (let stage = 0; stage < 8; stage++) {
      fixture.add("first");
      fixture.delivery.notify();
      for (let turns = stage; turns > 0; turns--) await new Promise(setImmediate);
      fixture.add("second");
      fixture.delivery.notify();
      await fixture.untilAtOnce(() => fixture.outbox.size === 0);
      await fixture.quiet();
    }
    fixture.expectAllInOrder();
  });

  test("as many requests at a time as allowed, but one an order", async () => {
    await using fixture = await Fixture.open({ maxRequests: 4 });
    for (let index = 0; index < 10; index++) fixture.add(`order ${index}`, "busy");
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response) => {
      await gate.promise;
      accept(arrival, response, response.req);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.inFlight === 4);
    expect(fixture.receiver.arrivals.filter(({ orderId }) => orderId === "busy")).toHaveLength(1);
    gate.resolve();
    await fixture.delivered();
    expect(fixture.receiver.mostInFlight).toBe(4);
    fixture.expectAllInOrder();
  });

  test("the next event of an order waits until the one before it is marked, not only answered", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a");
    fixture.receiver.behavior = (arrival, response, request) => {
      if (arrival.seq === 1) fixture.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.until(() => fixture.clock.asked.filter((delayMs) => delayMs < 5_000).length >= 3);
    expect(fixture.receiver.seqs()).toEqual([1]);
    fixture.outbox.unavailable = false;
    await fixture.delivered();
    expect(fixture.receiver.seqs()).toEqual([1, 2]);
  });

  test("during a rotation both secrets sign", async () => {
    await using fixture = await Fixture.open();
    const next = newSecret(64);
    fixture.receiver.secrets = [fixture.secret, next];
    await fixture.restart();
    fixture.add("a");
    fixture.delivery.notify();
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals[0]?.signatures).toHaveLength(2);

    fixture.receiver.secrets = [next];
    await fixture.restart();
    fixture.add("b");
    fixture.delivery.notify();
    await fixture.delivered();
    expect(fixture.receiver.faults).toEqual([]);
    expect(fixture.receiver.arrivals[1]?.signatures).toHaveLength(1);
  });

  test("a wrong secret would be noticed here", async () => {
    await using fixture = await Fixture.open({ secrets: [parseWebhookSecret(newSecret()) as never] });
    fixture.add("a");
    fixture.delivery.start();
    await fixture.delivered();
    expect(fixture.receiver.faults).toHaveLength(1);
  });
});

describe("a journal that is unavailable", () => {
  test.each([
    ["from the start", undefined],
    ["in the middle", 20],
  ])("%s: delivery waits and goes on", async (_name, after) => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 60; index++) fixture.add(`order ${index % 25}`);
    fixture.receiver.behavior = (arrival, response, request) => {
      if (arrival.index === after) fixture.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    fixture.outbox.unavailable = after === undefined;
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 5 * MINUTE_MS);
    // What was under way, and no more: it could not be marked.
    expect(fixture.receiver.arrivals.length).toBeLessThanOrEqual(after === undefined ? 0 : after + 16);
    fixture.outbox.unavailable = false;
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals).toHaveLength(60);
    expect(fixture.logged.map(({ level }) => level)).toEqual(["warn", "info"]);
  });
});
