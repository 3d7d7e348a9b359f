import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { RetryQueue } from "../../src/resilience/retry-queue.ts";
import type { Row } from "./fake-rows.ts";
import { newGate, QueueFixture } from "./queue-fixture.ts";

test("nothing is taken before the start; then what is due is tried, and the rest when its time comes", async () => {
  const at = new QueueFixture();
  at.add(10);
  const [later] = at.add(1, 3_000);
  at.queue.notify();
  await at.settle();
  expect(at.rows.takes).toEqual([]);
  at.queue.start();
  expect(() => at.queue.start()).toThrow("started before");
  await at.settle();
  expect(at.tried.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(at.mostInFlight).toBe(4);
  await at.pass(50);
  await at.pass(2_949);
  expect(at.rows.size).toBe(1);
  await at.pass(1);
  expect(at.tried.at(-1)).toBe(later?.id);
  expect(at.rows.size).toBe(0);
});

test("a journal is asked for as many rows as may be tried now, with the time and the rows under way", async () => {
  const at = new QueueFixture();
  const gate = at.holdCalls();
  at.add(3);
  at.queue.start();
  await at.until(() => at.tried.length === 3);
  at.add(5);
  at.queue.notify();
  await at.settle();
  const nowMs = at.clock.nowMs();
  expect(at.rows.takes).toEqual([
    { nowMs, limit: 4, leastTried: false, underWay: [] },
    { nowMs, limit: 1, leastTried: false, underWay: [1, 2, 3] },
  ]);
  expect([at.tried, at.queue.inFlight]).toEqual([[1, 2, 3, 4], 4]);
  gate.open();
  await at.until(() => at.rows.size === 0);
  expect([at.tried.length, at.mostInFlight]).toEqual([8, 4]);
});

test("calls of others fill the lane while the journal is asked: a queue of first tries never adds to more than it may", async () => {
  const at = new QueueFixture({ max: 8, kind: "first" });
  const gate = at.holdCalls();
  at.add(20);
  at.queue.start();
  // Of orders that fail now; each takes what room there is.
  const calls: number[] = [];
  let most = 0;
  for (let turns = 0; turns < 20; turns++) {
    while (at.lane.room > 0) calls.push(at.lane.begin());
    most = Math.max(most, at.health.inFlight);
    await turn();
  }
  expect(calls.length).toBe(4);
  expect([most, at.health.inFlight, at.tried.length]).toEqual([8, 8, 4]);
  for (const call of calls) at.lane.end(call, "ok");
  gate.open();
  await at.until(() => at.rows.size === 0);
  expect(at.health.inFlight).toBe(0);
  await at.queue.stop();
});

test("rows that are tried together cost one look afterwards", async () => {
  const at = new QueueFixture({ max: 64 });
  at.add(40);
  at.queue.start();
  await at.settle();
  expect([at.tried.length, at.rows.takes.length, at.clock.asked]).toEqual([40, 1, [50]]);
  await at.pass(50);
  expect([at.rows.takes.length, at.clock.timers]).toEqual([2, 0]);
});

test("a row that is due in an hour costs one look in ten seconds, and a wall clock that jumps is noticed as soon", async () => {
  const at = new QueueFixture();
  at.add(1, 3_600_000);
  at.queue.start();
  await at.settle();
  for (let count = 0; count < 6; count++) {
    expect(at.clock.nextMs).toBe(10_000);
    await at.pass(10_000);
  }
  expect([at.rows.takes.length, at.tried]).toEqual([7, []]);
  at.clock.jump(3_600_000);
  await at.pass(10_000);
  expect(at.tried).toEqual([1]);
  await at.queue.stop();
});

test("a wall clock that goes back during a look makes no timer that is too long", async () => {
  const at = new QueueFixture();
  at.add(1, 3_000);
  at.queue.start();
  at.clock.jump(-86_400_000);
  await at.settle();
  expect(at.clock.nextMs).toBe(10_000);
  at.clock.jump(2 * 86_400_000);
  await at.pass(10_000);
  expect(at.tried).toEqual([1]);
  await at.queue.stop();
});

test("try now: whatever the health and a pause, beside the tries of the queue", async () => {
  const at = new QueueFixture({ max: 1 });
  const gate = at.holdCalls();
  const [, second, third] = at.add(3) as [Row, Row, Row];
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  at.queue.pause();
  at.takeDown();
  at.rows.mark(second.id);
  let ended = false;
  const forced = at.queue.tryNow(second).then(() => (ended = true));
  expect([at.tried, at.queue.inFlight, ended]).toEqual([[1, 2], 2, false]);
  gate.open();
  await forced;
  // Resolved only when it is stored.
  expect(at.rows.get(second.id)).toBeUndefined();
  await at.settle();
  expect(at.tried).toEqual([1, 2]);
  at.queue.resume();
  at.clock.advance(10_000);
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([1, 2, 3]);
  expect(await at.stop()).toEqual([0, 0, 0]);
  await expect(at.queue.tryNow(third)).rejects.toThrow("stopped");
});

test("paused: nothing is tried or taken, what is under way goes on", async () => {
  const at = new QueueFixture();
  at.add(100);
  at.queue.start();
  await at.until(() => at.tried.length > 0);
  await at.settle();
  at.add(100);
  const gate = at.holdCalls();
  at.queue.notify();
  await at.settle();
  at.queue.pause();
  const { length } = at.rows.takes;
  gate.open();
  await at.settle();
  at.queue.notify();
  await at.pass(60_000);
  expect([at.tried.length, at.rows.size, at.rows.takes.length]).toEqual([104, 96, length]);
  at.queue.resume();
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("paused while rows were being taken: they are given back, and a resume takes them only after that", async () => {
  const at = new QueueFixture({ giveBack: (row) => given.passed.then(() => at.rows.failed(row.id, at.clock.nowMs())) });
  const given = newGate();
  at.add(3);
  at.queue.start();
  at.queue.pause();
  await at.settle();
  expect([at.tried, at.rows.waiting(), at.queue.inFlight]).toEqual([[], [], 1]);
  at.queue.resume();
  await at.settle();
  expect([at.tried, at.rows.takes.length]).toEqual([[], 1]);
  given.open();
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([1, 2, 3]);
  expect(await at.stop()).toEqual([0, 0, 0]);
});

test("a look that began before a try was stored, and says that nothing is due for long, does not make its row be forgotten", async () => {
  const at = new QueueFixture();
  const [row] = at.add(1);
  at.add(1, 3_600_000);
  const [answered, called] = [newGate(), newGate()];
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(2, answered),
    async tryOnce({ id }) {
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
  await at.pass(50);
  await at.pass(950);
  expect(at.tried).toEqual([row?.id, row?.id]);
  await queue.stop();
});

test("a row that was postponed for less than the rest is tried when it is due, not when they are", async () => {
  const at = new QueueFixture();
  at.add(1, 8_000);
  at.queue.start();
  await at.settle();
  expect(at.clock.nextMs).toBe(8_000);
  at.add(1, 200);
  at.queue.postponed();
  for (const ms of [50, 149]) {
    await at.pass(ms);
    expect(at.tried).toEqual([]);
  }
  await at.pass(1);
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

test("a notify while the journal has the rows together and has not answered leads to another look", async () => {
  const at = new QueueFixture();
  const answered = newGate();
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: at.holdingLook(1, answered),
    tryOnce: ({ id }) => at.rows.done(id),
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
