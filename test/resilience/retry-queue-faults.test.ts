import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { RetryQueue } from "../../src/resilience/retry-queue.ts";
import type { Row } from "./fake-rows.ts";
import { FAILED, newGate, QueueFixture } from "./queue-fixture.ts";

test("a journal that cannot be used is asked again with exponential backoff, told of once", async () => {
  const at = new QueueFixture();
  at.add(1);
  for (let outage = 1; outage <= 2; outage++) {
    at.rows.unavailable = true;
    if (outage === 1) at.queue.start();
    else at.queue.notify();
    await at.settle();
    for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000]) {
      const { length } = at.rows.takes;
      at.queue.notify();
      at.queue.postponed();
      at.clock.advance(pauseMs - 1);
      await at.settle();
      expect(at.rows.takes).toHaveLength(length);
      at.clock.advance(1);
      await at.settle();
      expect(at.rows.takes).toHaveLength(length + 1);
    }
    expect(at.faults).toEqual(Array(outage).fill("what is due cannot be read: it will be read again"));
    at.rows.unavailable = false;
    at.clock.advance(10_000);
    await at.until(() => at.rows.size === 0);
    await at.settle();
    at.add(1);
  }
  await at.queue.stop();
});

test("a journal that works again is told of again though nothing was due", async () => {
  const at = new QueueFixture();
  for (let outage = 1; outage <= 2; outage++) {
    at.rows.unavailable = true;
    if (outage === 1) at.queue.start();
    else at.queue.notify();
    await at.settle();
    at.rows.unavailable = false;
    expect(at.clock.nextMs).toBe(500);
    at.clock.advance(500);
    await at.settle();
    expect(at.faults).toHaveLength(outage);
  }
  await at.queue.stop();
});

test("a try that rejects pauses the queue, longer each time, and is told of once; its row is not lost to what is counted", async () => {
  const at = new QueueFixture({ max: 1 });
  at.add(4);
  let broken = true;
  at.call = () => {
    if (broken) throw new Error("bug");
    return "ok";
  };
  at.queue.start();
  await at.settle();
  for (const [index, pauseMs] of [500, 1_000, 2_000].entries()) {
    at.queue.notify();
    at.queue.postponed();
    at.clock.advance(pauseMs - 1);
    await at.settle();
    expect([at.tried.length, at.queue.inFlight, at.lane.room]).toEqual([index + 1, 0, 1]);
    if (index === 2) broken = false;
    at.clock.advance(1);
    await at.settle();
  }
  expect(at.tried).toEqual([1, 2, 3, 4]);
  expect(at.faults).toEqual(["a retry failed unexpectedly"]);
  // One that went well ends the row of faults.
  broken = true;
  at.add(1);
  at.queue.notify();
  await at.settle();
  expect([at.tried.length, at.faults.length, at.clock.nextMs]).toEqual([5, 2, 500]);
  expect(await at.stop()).toEqual([0, 0, 0]);
});

test("a try that rejects during a look pauses the queue all the same, whatever the look says", async () => {
  const at = new QueueFixture();
  const [answered, called] = [newGate(), newGate()];
  at.add(1);
  at.add(1, 20);
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(2, answered),
    async attempt({ id }) {
      at.tried.push(id);
      await called.passed;
      throw new Error("bug");
    },
    lane: at.lane,
    clock: at.clock,
    random: () => 1,
  });
  queue.start();
  await at.until(() => at.tried.length === 1);
  queue.notify();
  await at.until(() => at.looks === 2);
  called.open();
  await at.settle();
  answered.open();
  await at.settle();
  expect([at.clock.nextMs, at.looks]).toEqual([500, 2]);
  at.clock.advance(499);
  await at.settle();
  expect(at.tried).toEqual([1]);
  at.clock.advance(1);
  await at.settle();
  expect(at.tried).toEqual([1, 2]);
  await queue.stop();
});

test("stop: at any moment it leaves no try, no look and no timer", async () => {
  for (let turns = 0; turns < 40; turns++) {
    const at = new QueueFixture({ max: 3, maxPerSecond: 500 });
    at.call = async ({ id }) => {
      await turn();
      return id % 3 === 0 ? FAILED : "ok";
    };
    at.add(40);
    at.add(5, 100);
    at.queue.start();
    for (let count = 0; count < turns; count++) {
      await turn();
      at.clock.advance(5);
    }
    const stopping = Promise.all([at.queue.stop(), at.queue.stop()]);
    const { length } = at.tried;
    await stopping;
    expect(await at.stop()).toEqual([0, 0, 0]);
    at.queue.notify();
    at.queue.postponed();
    at.queue.resume();
    await at.settle();
    expect([at.tried.length, at.clock.timers]).toEqual([length, 0]);
  }
});

test("stop waits for the tries and the look under way; what the look brings is not tried", async () => {
  const at = new QueueFixture({ max: 4 });
  const [called, answered] = [newGate(), newGate()];
  at.add(1);
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(2, answered),
    async attempt({ id }) {
      at.tried.push(id);
      await called.passed;
      await at.rows.done(id);
    },
    lane: at.lane,
    clock: at.clock,
  });
  queue.start();
  await at.until(() => at.tried.length === 1);
  at.add(1);
  queue.notify();
  await at.until(() => at.looks === 2);
  let stopped = false;
  const stopping = queue.stop().then(() => (stopped = true));
  await at.settle();
  called.open();
  await at.settle();
  expect([stopped, queue.inFlight, at.rows.size]).toEqual([false, 1, 1]);
  answered.open();
  await stopping;
  expect([queue.inFlight, at.tried, at.lane.room, at.clock.timers]).toEqual([0, [1], 4, 0]);
});

test("a fault during the stop is nobody's", async () => {
  const at = new QueueFixture();
  const called = newGate();
  at.call = (): Promise<"ok"> => called.passed.then(() => Promise.reject(new Error("bug")));
  at.add(1);
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  at.rows.unavailable = true;
  at.queue.notify();
  const stopping = at.stop();
  called.open();
  expect(await stopping).toEqual([0, 0, 0]);
  expect(at.faults).toEqual([]);
});

test("stop before the start, and a start after it", async () => {
  const at = new QueueFixture();
  at.add(1);
  expect(await at.stop()).toEqual([0, 0, 0]);
  expect(() => at.queue.start()).toThrow("started before");
  at.queue.notify();
  await at.settle();
  expect([at.rows.takes, at.tried]).toEqual([[], []]);
});
