import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { EndpointHealth } from "../../src/resilience/endpoint-health.ts";
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
  at.clock.advance(50);
  await at.settle();
  at.clock.advance(2_949);
  await at.settle();
  expect(at.rows.size).toBe(1);
  at.clock.advance(1);
  await at.settle();
  expect(at.tried.at(-1)).toBe(later?.id);
  expect(at.rows.size).toBe(0);
});

test("a journal is asked for as many rows as may be tried now, with the time and the rows under way", async () => {
  const at = new QueueFixture();
  at.call = (): Promise<"ok"> => gate.passed.then(() => "ok");
  const gate = newGate();
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

test("a try counts until its outcome is stored, not only answered", async () => {
  const at = new QueueFixture({ max: 2 });
  at.call = () => {
    at.rows.unavailable = true;
    return "ok";
  };
  const stored = newGate();
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    take: (request) => at.rows.take(request),
    async attempt({ id }) {
      at.tried.push(id);
      at.lane.end(at.lane.begin(), "ok");
      await stored.passed;
      await at.rows.done(id);
    },
    lane: at.lane,
    clock: at.clock,
  });
  at.add(5);
  queue.start();
  await at.until(() => at.tried.length === 2);
  await at.settle();
  queue.notify();
  await at.settle();
  // The endpoint has room, and could be overrun by as many rows as the journal is late.
  expect([at.lane.room, at.tried.length, queue.inFlight]).toEqual([2, 2, 2]);
  stored.open();
  await at.until(() => at.rows.size === 0);
  await queue.stop();
});

test("calls of others fill the lane while the journal is asked: a queue of first tries never adds to more than it may", async () => {
  const at = new QueueFixture({ max: 8, kind: "first" });
  const gate = newGate();
  at.call = (): Promise<"ok"> => gate.passed.then(() => "ok");
  at.add(20);
  at.queue.start();
  // Of orders that fail now; each takes what room there is.
  const calls: number[] = [];
  let most = 0;
  for (let turns = 0; turns < 20; turns++) {
    while (at.lane.room > 0) calls.push(at.lane.begin());
    most = Math.max(most, at.lane.inFlight);
    await turn();
  }
  expect(calls.length).toBe(4);
  expect([most, at.lane.inFlight, at.tried.length]).toEqual([8, 8, 4]);
  for (const call of calls) at.lane.end(call, "ok");
  gate.open();
  await at.until(() => at.rows.size === 0);
  expect(at.lane.inFlight).toBe(0);
  await at.queue.stop();
});

test("with nothing to wait for there is neither a timer nor a read", async () => {
  const at = new QueueFixture();
  at.add(3);
  at.queue.start();
  await at.settle();
  at.clock.advance(50);
  await at.settle();
  expect(at.clock.timers).toBe(0);
  expect(at.rows.takes.length).toBeLessThanOrEqual(3);
});

test("rows that are tried together cost one look afterwards", async () => {
  const at = new QueueFixture({ max: 64 });
  at.add(40);
  at.queue.start();
  await at.settle();
  expect([at.tried.length, at.rows.takes.length, at.clock.asked]).toEqual([40, 1, [50]]);
  at.clock.advance(50);
  await at.settle();
  expect([at.rows.takes.length, at.clock.timers]).toEqual([2, 0]);
});

test("a row that is due in an hour costs one look in ten seconds, and a wall clock that jumps is noticed as soon", async () => {
  const at = new QueueFixture();
  at.add(1, 3_600_000);
  at.queue.start();
  await at.settle();
  for (let count = 0; count < 6; count++) {
    expect(at.clock.nextMs).toBe(10_000);
    at.clock.advance(10_000);
    await at.settle();
  }
  expect([at.rows.takes.length, at.tried]).toEqual([7, []]);
  at.clock.jump(3_600_000);
  at.clock.advance(10_000);
  await at.settle();
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
  at.clock.advance(10_000);
  await at.settle();
  expect(at.tried).toEqual([1]);
  await at.queue.stop();
});

test("of 30 000 rows no more are in memory than may be tried", async () => {
  const left = new Map(Array.from({ length: 30_000 }, (_, id) => [id, { id }]));
  const at = new QueueFixture();
  let mostAsked = 0;
  let mostHeld = 0;
  let handedOut = 0;
  let tried = 0;
  const health = new EndpointHealth({ maxInFlight: 50, clock: at.clock });
  const lane = health.lane(50, "again");
  const queue = new RetryQueue<{ id: number }>({
    idOf: ({ id }) => id,
    async take({ limit, underWay }) {
      mostAsked = Math.max(mostAsked, limit + underWay.length);
      const items = left
        .values()
        .filter(({ id }) => !underWay.includes(id))
        .take(limit)
        .toArray();
      handedOut += items.length;
      await turn();
      return { items };
    },
    async attempt({ id }) {
      tried++;
      const call = lane.begin();
      await turn();
      lane.end(call, "ok");
      left.delete(id);
    },
    lane,
    clock: at.clock,
  });
  queue.start();
  while (left.size > 0) {
    await turn();
    mostHeld = Math.max(mostHeld, lane.inFlight);
  }
  // Each was read once.
  expect([tried, handedOut, mostHeld, mostAsked]).toEqual([30_000, 30_000, 50, 50]);
  await queue.stop();
});
