import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { RetryQueue } from "../../src/resilience/retry-queue.ts";
import type { Row } from "./fake-rows.ts";
import { FAILED, newGate, QueueFixture } from "./queue-fixture.ts";

test("a notify is not lost at any stage of a look", async () => {
  for (let stage = 0; stage < 12; stage++) {
    const at = new QueueFixture();
    at.queue.start();
    for (let turns = stage; turns > 0; turns--) await turn();
    at.add(1);
    at.queue.notify();
    await at.until(() => at.rows.size === 0);
    expect(await at.stop()).toEqual([0, 0, 0]);
  }
});

test("a notify while the journal has the rows together and has not answered leads to another look", async () => {
  const at = new QueueFixture();
  const answered = newGate();
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(1, answered),
    attempt: ({ id }) => at.rows.done(id),
    lane: at.lane,
    clock: at.clock,
  });
  queue.start();
  await at.settle();
  at.add(1);
  queue.notify();
  await at.settle();
  expect([at.looks, at.rows.size]).toEqual([1, 1]);
  answered.open();
  await at.until(() => at.rows.size === 0);
  await queue.stop();
});

test("a notify from within a try, before its first wait, starts nothing twice and is not lost", async () => {
  const at = new QueueFixture({ max: 2 });
  at.call = () => {
    if (at.tried.length === 1) {
      at.add(1);
      at.queue.notify();
    }
    return "ok";
  };
  at.add(3);
  at.queue.start();
  await at.until(() => at.rows.size === 0);
  expect(at.tried.toSorted()).toEqual([1, 2, 3, 4]);
  expect(at.mostInFlight).toBeLessThanOrEqual(2);
  await at.queue.stop();
});

test("a look that began before a try was stored, and says that nothing is due for long, does not make its row be forgotten", async () => {
  const at = new QueueFixture();
  const [row] = at.add(1);
  at.add(1, 3_600_000);
  const [answered, called] = [newGate(), newGate()];
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(2, answered),
    async attempt({ id }) {
      at.tried.push(id);
      await called.passed;
      if (at.tried.length === 1) await at.rows.failed(id, at.clock.nowMs() + 1_000);
      else await at.rows.done(id);
    },
    lane: at.lane,
    clock: at.clock,
  });
  queue.start();
  await at.until(() => queue.inFlight === 1 && at.tried.length === 1);
  queue.notify();
  await at.until(() => at.looks === 2);
  called.open();
  await at.until(() => at.rows.waiting().length === 2);
  await at.settle();
  answered.open();
  await at.settle();
  expect(at.tried).toEqual([row?.id]);
  // That look did not know when the row will be due again.
  at.clock.advance(50);
  await at.settle();
  at.clock.advance(950);
  await at.settle();
  expect(at.tried).toEqual([row?.id, row?.id]);
  await queue.stop();
});

test("nor does one whose row somebody else postponed meanwhile", async () => {
  const at = new QueueFixture();
  at.add(1, 3_600_000);
  at.queue.start();
  // Others store rows of this queue too: the first tries of an order.
  for (let turns = 0; turns < 2; turns++) await turn();
  at.add(1, 200);
  at.queue.postponed();
  await at.settle();
  at.clock.advance(50);
  await at.settle();
  at.clock.advance(150);
  await at.settle();
  expect(at.tried).toEqual([2]);
  await at.queue.stop();
});

test.each([false, true])(
  "a row that moved its own next try is tried then, with a look under way at the end of its try: %s",
  async (looking) => {
    const at = new QueueFixture();
    at.add(1);
    at.call = async () => {
      if (looking) at.queue.notify();
      for (let turns = 0; turns < 3; turns++) await turn();
      if (looking) at.queue.notify();
      return at.tried.length < 4 ? FAILED : "ok";
    };
    at.queue.start();
    for (let tries = 1; tries <= 4; tries++) {
      await at.until(() => at.tried.length === tries && at.running === 0);
      await at.settle();
      at.clock.advance(50);
      await at.settle();
      at.clock.advance(950);
    }
    await at.settle();
    expect(at.rows.size).toBe(0);
    await at.queue.stop();
  },
);

test("a row that was postponed for less than the rest is tried when it is due, not when they are", async () => {
  const at = new QueueFixture();
  at.add(1, 8_000);
  at.queue.start();
  await at.settle();
  expect(at.clock.nextMs).toBe(8_000);
  at.add(1, 200);
  at.queue.postponed();
  for (const ms of [50, 149]) {
    at.clock.advance(ms);
    await at.settle();
    expect(at.tried).toEqual([]);
  }
  at.clock.advance(1);
  await at.settle();
  expect(at.tried).toEqual([2]);
  await at.queue.stop();
});

test("many that are postponed one after the other do not put the look off", async () => {
  const at = new QueueFixture();
  at.queue.start();
  await at.settle();
  at.add(1, 30);
  for (let ms = 0; ms < 50; ms += 10) {
    at.queue.postponed();
    at.clock.advance(10);
  }
  await at.settle();
  expect(at.tried).toEqual([1]);
  await at.queue.stop();
});
