import { expect, test } from "vitest";
import { RetryQueue } from "../../src/resilience/retry-queue.ts";
import type { Row } from "./fake-rows.ts";
import { FAILED, newGate, QueueFixture } from "./queue-fixture.ts";

test("try now: whatever the health and a pause, beside the tries of the queue", async () => {
  const at = new QueueFixture({ max: 1 });
  const gate = newGate();
  at.call = (): Promise<"ok"> => gate.passed.then(() => "ok");
  const [, second, third] = at.add(3) as [Row, Row, Row];
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  at.queue.pause();
  at.takeDown();
  at.rows.mark(second.id);
  let ended = false;
  const forced = at.queue.attemptNow(second).then(() => (ended = true));
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
  await expect(at.queue.attemptNow(third)).rejects.toThrow("stopped");
});

test("paused: nothing is tried or taken, what is under way goes on", async () => {
  const at = new QueueFixture();
  at.add(100);
  at.queue.start();
  await at.until(() => at.tried.length > 0);
  await at.settle();
  at.add(100);
  const gate = newGate();
  at.call = (): Promise<"ok"> => gate.passed.then(() => "ok");
  at.queue.notify();
  await at.settle();
  at.queue.pause();
  const { length } = at.rows.takes;
  gate.open();
  await at.settle();
  at.queue.notify();
  at.clock.advance(60_000);
  await at.settle();
  expect([at.tried.length, at.rows.size, at.rows.takes.length]).toEqual([104, 96, length]);
  at.queue.resume();
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("rows that come during a pause from a look before it are not tried, and a resume gets them again", async () => {
  const at = new QueueFixture();
  at.add(1);
  const read: Row[][] = [];
  const answered = newGate();
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    // Only read, as events are.
    async take({ limit }) {
      const items = at.rows.all().slice(0, limit);
      read.push(items);
      if (read.length === 1) await answered.passed;
      return { items };
    },
    async attempt({ id }) {
      at.tried.push(id);
      await at.rows.done(id);
    },
    lane: at.lane,
    clock: at.clock,
  });
  queue.start();
  queue.pause();
  answered.open();
  await at.settle();
  expect([read.length, at.tried]).toEqual([1, []]);
  queue.resume();
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([1]);
  await queue.stop();
});

test("a resume looks at once for what became due during the pause", async () => {
  const at = new QueueFixture({ max: 1 });
  at.call = () => {
    if (at.tried.length === 1) at.queue.pause();
    return at.tried.length === 1 ? FAILED : "ok";
  };
  at.add(1);
  at.queue.start();
  await at.until(() => at.tried.length === 1 && at.running === 0);
  at.clock.advance(1_000);
  await at.settle();
  expect(at.tried).toHaveLength(1);
  at.queue.resume();
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toHaveLength(2);
  await at.queue.stop();
});
