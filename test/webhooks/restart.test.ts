import { expect, test } from "vitest";
import { accept, hangUp } from "./receiver.ts";
import { Rig } from "./rig.ts";

test("down, a restart meanwhile, then up: every event, in order per order", async () => {
  await using rig = await Rig.open();
  for (let index = 0; index < 300; index++) rig.add(`order ${index % 70}`);
  rig.delivery.start();
  await rig.until(() => rig.receiver.arrivals.length >= 50);
  await rig.receiver.close();
  const downMs = rig.clock.nowMs();
  await rig.until(() => rig.clock.nowMs() - downMs > 600_000);
  for (let index = 0; index < 100; index++) rig.add(`order ${index % 90}`);
  await rig.restart();
  await rig.until(() => rig.clock.nowMs() - downMs > 1_200_000);
  await rig.receiver.listen();
  await rig.delivered();
  rig.expectAllInOrder();
});

test("stop aborts what is under way; the event stays and is the first of its order after the restart", async () => {
  await using rig = await Rig.open();
  rig.add("a", "a", "b");
  rig.receiver.behavior = rig.receiver.keepSilent;
  rig.delivery.start();
  await rig.untilAtOnce(() => rig.receiver.silent === 2);
  await rig.delivery.stop();
  await rig.untilAtOnce(() => rig.receiver.silent === 0);
  expect(rig.outbox.size).toBe(3);
  expect(rig.outbox.delivered).toEqual([]);
  expect(rig.logged).toEqual([]);
  rig.receiver.behavior = accept;
  await rig.restart();
  await rig.delivered();
  rig.expectAllInOrder();
  expect(rig.receiver.arrivals).toHaveLength(5);
});

test("stop waits for the mark of what was answered", async () => {
  await using rig = await Rig.open();
  rig.add("a");
  let stopped: Promise<void> | undefined;
  rig.receiver.behavior = accept;
  rig.delivery.start();
  await rig.untilAtOnce(() => {
    const marking = rig.receiver.arrivals.length === 1 && rig.delivery.state().inFlight === 0 && rig.outbox.size === 1;
    if (marking) stopped = rig.delivery.stop();
    return marking;
  });
  await stopped;
  expect(rig.outbox.size).toBe(0);
});

test("stop during a journal outage ends at once and keeps the events", async () => {
  await using rig = await Rig.open();
  rig.add("a", "b");
  rig.receiver.behavior = (arrival, response, request) => {
    rig.outbox.unavailable = true;
    accept(arrival, response, request);
  };
  rig.delivery.start();
  await rig.untilAtOnce(() => rig.logged.length > 0);
  await rig.delivery.stop();
  rig.receiver.behavior = accept;
  rig.outbox.unavailable = false;
  await rig.restart();
  await rig.delivered();
  rig.expectAllInOrder();
});

test("stop before start, twice, and without anything to do", async () => {
  await using rig = await Rig.open();
  await Promise.all([rig.delivery.stop(), rig.delivery.stop()]);
  expect(() => rig.delivery.start()).toThrow();
  await rig.restart();
  await rig.quiet();
  await rig.delivery.stop();
  rig.delivery.notify();
  expect(rig.outbox.busy).toBe(0);
});

test("stop while the receiver is down leaves no timer", async () => {
  await using rig = await Rig.open();
  for (let index = 0; index < 12; index++) rig.add(`order ${index}`);
  rig.receiver.behavior = hangUp;
  rig.delivery.start();
  await rig.untilAtOnce(() => rig.delivery.state().receiver === "down");
  await rig.quiet();
  expect(rig.clock.timers).toBeGreaterThan(0);
  await rig.delivery.stop();
  expect(rig.clock.timers).toBe(0);
});

test("stop at any moment: a sweep over the turns of a run", async () => {
  for (let turns = 0; turns < 60; turns++) {
    await using rig = await Rig.open({ maxRequests: 3 });
    for (let index = 0; index < 12; index++) rig.add(`order ${index % 5}`);
    rig.delivery.start();
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    await rig.delivery.stop();
    expect(rig.clock.timers).toBe(0);
    expect(rig.outbox.busy).toBe(0);
    expect(rig.delivery.state().inFlight).toBe(0);
    await rig.restart();
    await rig.delivered();
    rig.expectAllInOrder();
  }
});
