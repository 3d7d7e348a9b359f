import { expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, hangUp } from "./receiver.ts";

test("down, a restart meanwhile, then up: every event, in order per order", async () => {
  await using fixture = await Fixture.open();
  for (let index = 0; index < 300; index++) fixture.add(`order ${index % 70}`);
  fixture.delivery.start();
  await fixture.until(() => fixture.receiver.arrivals.length >= 50);
  await fixture.receiver.close();
  const downMs = fixture.clock.nowMs();
  await fixture.until(() => fixture.clock.nowMs() - downMs > 600_000);
  for (let index = 0; index < 100; index++) fixture.add(`order ${index % 90}`);
  await fixture.restart();
  await fixture.until(() => fixture.clock.nowMs() - downMs > 1_200_000);
  await fixture.receiver.listen();
  await fixture.delivered();
  fixture.expectAllInOrder();
});

test("stop aborts what is under way; the event stays and is the first of its order after the restart", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a", "a", "b");
  fixture.receiver.behavior = fixture.receiver.keepSilent;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.receiver.silent === 2);
  await fixture.delivery.stop();
  await fixture.untilAtOnce(() => fixture.receiver.silent === 0);
  expect(fixture.outbox.size).toBe(3);
  expect(fixture.outbox.delivered).toEqual([]);
  expect(fixture.logged).toEqual([]);
  fixture.receiver.behavior = accept;
  await fixture.restart();
  await fixture.delivered();
  fixture.expectAllInOrder();
  expect(fixture.receiver.arrivals).toHaveLength(5);
});

test("stop waits for the mark of what was answered", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a");
  let stopped: Promise<void> | undefined;
  fixture.receiver.behavior = accept;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => {
    const marking = fixture.receiver.arrivals.length === 1 && fixture.delivery.state().inFlight === 0 && fixture.outbox.size === 1;
    if (marking) stopped = fixture.delivery.stop();
    return marking;
  });
  await stopped;
  expect(fixture.outbox.size).toBe(0);
});

test("stop during a journal outage ends at once and keeps the events", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a", "b");
  fixture.receiver.behavior = (arrival, response, request) => {
    fixture.outbox.unavailable = true;
    accept(arrival, response, request);
  };
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.logged.length > 0);
  await fixture.delivery.stop();
  fixture.receiver.behavior = accept;
  fixture.outbox.unavailable = false;
  await fixture.restart();
  await fixture.delivered();
  fixture.expectAllInOrder();
});

test("stop before start, twice, and without anything to do", async () => {
  await using fixture = await Fixture.open();
  await Promise.all([fixture.delivery.stop(), fixture.delivery.stop()]);
  expect(() => fixture.delivery.start()).toThrow();
  await fixture.restart();
  await fixture.quiet();
  await fixture.delivery.stop();
  fixture.delivery.notify();
  expect(fixture.outbox.busy).toBe(0);
});

test("stop while the receiver is down leaves no timer", async () => {
  await using fixture = await Fixture.open();
  for (let index = 0; index < 12; index++) fixture.add(`order ${index}`);
  fixture.receiver.behavior = hangUp;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
  await fixture.quiet();
  expect(fixture.clock.timers).toBeGreaterThan(0);
  await fixture.delivery.stop();
  expect(fixture.clock.timers).toBe(0);
});

test("stop at any moment: a sweep over the turns of a run", async () => {
  for (let turns = 0; turns < 60; turns++) {
    await using fixture = await Fixture.open({ maxRequests: 3 });
    for (let index = 0; index < 12; index++) fixture.add(`order ${index % 5}`);
    fixture.delivery.start();
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    await fixture.delivery.stop();
    expect(fixture.clock.timers).toBe(0);
    expect(fixture.outbox.busy).toBe(0);
    expect(fixture.delivery.state().inFlight).toBe(0);
    await fixture.restart();
    await fixture.delivered();
    fixture.expectAllInOrder();
  }
});
