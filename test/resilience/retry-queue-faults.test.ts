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
      await at.pass(pauseMs - 1);
      expect(at.rows.takes).toHaveLength(length);
      await at.pass(1);
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
    await at.pass(pauseMs - 1);
    expect([at.tried.length, at.queue.inFlight, at.lane.room]).toEqual([index + 1, 0, 1]);
    if (index === 2) broken = false;
    await at.pass(1);
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

test("stop waits for the tries and the look under way; what the look brings is not tried", async () => {
  const at = new QueueFixture({ max: 4 });
  const [called, answered] = [newGate(), newGate()];
  at.add(1);
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(2, answered),
    async tryOnce({ id }) {
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

test("an endpoint that is down gets one probe after each pause, and nothing else is taken; back up, it gets everything", async () => {
  const at = new QueueFixture({ max: 8 });
  at.add(1_000);
  at.call = () => FAILED;
  at.queue.start();
  await at.settle();
  expect(at.health.down).toBe(true);
  expect(at.tried.length).toBeLessThanOrEqual(12);
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    const { length } = at.tried;
    at.rows.takes.length = 0;
    await at.pass(pauseMs - 1);
    expect(at.tried).toHaveLength(length);
    await at.pass(1);
    expect(at.tried).toHaveLength(length + 1);
    expect(at.rows.takes).toMatchObject([{ limit: 1, leastTried: true }]);
  }
  at.call = () => "ok";
  at.clock.advance(10_000);
  await at.until(() => at.rows.size === 0);
  expect(at.mostInFlight).toBe(8);
  await at.queue.stop();
});

test("probes take turns: the row tried least goes first, so rows that always fail do not keep it looking down", async () => {
  const at = new QueueFixture({ max: 4 });
  const bad = at.add(50, -1_000, 3);
  const [good] = at.add(1, 0, 1);
  at.call = ({ id }) => (id === good?.id ? "ok" : { ...FAILED, again: true });
  at.takeDown();
  at.queue.start();
  await at.pass(500);
  expect(at.tried[0]).toBe(good?.id);
  expect([at.health.down, at.rows.get(good?.id ?? 0)]).toEqual([false, undefined]);
  // They fail each for itself from now on.
  await at.until(() => bad.every(({ id }) => at.tried.includes(id)));
  expect(at.health.down).toBe(false);
  await at.queue.stop();
});

test("first tries go on while the endpoint answers anything; silent, they are probes too", async () => {
  const at = new QueueFixture({ max: 4, kind: "first" });
  at.takeDown();
  at.add(20);
  at.pauseMs = () => 3_600_000;
  at.call = () => FAILED;
  at.queue.start();
  await at.until(() => at.tried.length === 20);
  await at.settle();
  expect(at.health.down).toBe(true);
  at.takeDown("silent");
  at.call = () => ({ ...FAILED, how: "silent" });
  at.add(20);
  at.queue.notify();
  await at.settle();
  expect(at.tried).toHaveLength(20);
  await at.pass(500);
  expect(at.tried).toHaveLength(21);
  // Any answer, to whomever.
  at.health.end(at.health.begin(), { ...FAILED, again: true });
  at.call = () => FAILED;
  await at.until(() => at.tried.length >= 40);
  await at.queue.stop();
});

test("held: nothing is taken, and then everything", async () => {
  const at = new QueueFixture({ max: 8 });
  for (let count = 0; count < 3; count++) {
    at.health.end(at.health.begin(), { ...FAILED, again: true, retryAfterMs: 30_000 });
  }
  at.add(20);
  at.queue.start();
  await at.pass(29_999);
  expect(at.rows.takes).toEqual([]);
  at.clock.advance(1);
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("the pace is kept, and bounds nobody who tries now", async () => {
  const at = new QueueFixture({ max: 100, maxPerSecond: 100 });
  at.add(1_000);
  at.queue.start();
  await at.settle();
  expect(at.tried).toHaveLength(3);
  for (let count = 0; count < 50; count++) {
    await at.pass(20);
  }
  expect(at.tried).toHaveLength(3 + 100);
  const [row] = at.rows.waiting();
  if (row === undefined) throw new Error("no row");
  at.rows.mark(row.id);
  await at.queue.tryNow(row);
  expect(at.tried).toHaveLength(104);
  expect(await at.stop()).toEqual([0, 0, 0]);
});

test("tokens for rows that were not there, and for a look that failed, are given back", async () => {
  const at = new QueueFixture({ max: 100, maxPerSecond: 1_000 });
  at.add(1);
  at.queue.start();
  await at.until(() => at.rows.size === 0);
  // A full bucket has 21.
  expect(at.pace?.take(100)).toBe(20);
  at.pace?.giveBack(20);
  at.rows.unavailable = true;
  at.queue.notify();
  await at.settle();
  expect([at.faults.length, at.pace?.take(100)]).toEqual([1, 20]);
  expect(await at.stop()).toEqual([0, 0, 0]);
});
