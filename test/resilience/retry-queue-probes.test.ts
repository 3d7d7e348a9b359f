import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { FAILED, newGate, QueueFixture } from "./queue-fixture.ts";

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
    at.clock.advance(pauseMs - 1);
    await at.settle();
    expect(at.tried).toHaveLength(length);
    at.clock.advance(1);
    await at.settle();
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
  at.clock.advance(500);
  await at.settle();
  expect(at.tried[0]).toBe(good?.id);
  expect([at.health.down, at.rows.get(good?.id ?? 0)]).toEqual([false, undefined]);
  // They fail each for itself from now on.
  await at.until(() => bad.every(({ id }) => at.tried.includes(id)));
  expect(at.health.down).toBe(false);
  await at.queue.stop();
});

test("a probe that hangs is the only one, however long it takes and whoever calls", async () => {
  const at = new QueueFixture();
  const gate = newGate();
  at.call = () => gate.passed.then(() => FAILED);
  at.add(10);
  at.takeDown();
  at.queue.start();
  at.clock.advance(500);
  await at.settle();
  expect(at.tried).toHaveLength(1);
  for (let count = 0; count < 5; count++) {
    at.clock.advance(60_000);
    at.queue.notify();
    await at.settle();
  }
  expect(at.tried).toHaveLength(1);
  gate.open();
  await at.settle();
  at.clock.advance(1_000);
  await at.settle();
  expect(at.tried).toHaveLength(2);
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
  at.clock.advance(500);
  await at.settle();
  expect(at.tried).toHaveLength(21);
  // Any answer, to whomever.
  at.health.end(at.health.begin(), { ...FAILED, again: true });
  at.call = () => FAILED;
  await at.until(() => at.tried.length >= 40);
  await at.queue.stop();
});

test("first tries of the backlog that hang leave half of the calls to orders that fail now", async () => {
  const at = new QueueFixture({ max: 8, kind: "first" });
  const gate = newGate();
  at.call = () => gate.passed.then(() => FAILED);
  at.add(20);
  at.queue.start();
  await at.settle();
  at.queue.notify();
  await at.settle();
  expect([at.tried.length, at.lane.room]).toEqual([4, 4]);
  gate.open();
  at.call = () => "ok";
  await at.settle();
  expect(new Set(at.tried).size).toBe(20);
  await at.queue.stop();
});

test("a lane that had no room goes on as soon as anybody's call ends or goes well", async () => {
  const at = new QueueFixture({ max: 4 });
  const others = Array.from({ length: 4 }, () => at.lane.begin());
  at.add(20);
  at.queue.start();
  await at.settle();
  expect(at.rows.takes).toEqual([]);
  at.lane.end(others[0] ?? 0, undefined);
  await at.until(() => at.rows.size === 0);
  expect(at.mostCalls).toBe(4);
  for (const call of others.slice(1)) at.lane.end(call, undefined);
  // Down, and a call of another lane is a success.
  at.takeDown();
  at.add(20);
  at.queue.notify();
  await at.settle();
  expect(at.rows.size).toBe(20);
  at.health.end(at.health.begin(), "ok");
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("a limit of one grows with what goes well", async () => {
  const at = new QueueFixture({ max: 8 });
  for (let count = 0; count < 5; count++) at.health.end(at.health.begin(), { ...FAILED, again: true, overloaded: true });
  expect(at.health.limit).toBe(1);
  at.add(100);
  const most: number[] = [];
  at.call = async (): Promise<"ok"> => {
    most.push(at.lane.inFlight);
    for (let turns = 0; turns < 30; turns++) await turn();
    return "ok";
  };
  at.queue.start();
  await at.until(() => at.rows.size === 0);
  expect([most[0], Math.max(...most), at.health.limit]).toEqual([1, 8, 8]);
  await at.queue.stop();
});

test("held: nothing is taken, and then everything", async () => {
  const at = new QueueFixture({ max: 8 });
  for (let count = 0; count < 3; count++) {
    at.health.end(at.health.begin(), { ...FAILED, again: true, retryAfterMs: 30_000 });
  }
  at.add(20);
  at.queue.start();
  at.clock.advance(29_999);
  await at.settle();
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
    at.clock.advance(20);
    await at.settle();
  }
  expect(at.tried).toHaveLength(3 + 100);
  const [row] = at.rows.waiting();
  if (row === undefined) throw new Error("no row");
  at.rows.mark(row.id);
  await at.queue.attemptNow(row);
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

test("a queue that got no token gets its share though another one always wants more", async () => {
  const greedy = new QueueFixture({ max: 64, maxPerSecond: 1_000 });
  const { clock, pace } = greedy;
  if (pace === undefined) throw new Error("no pace");
  const modest = new QueueFixture({ max: 64, clock, pace });
  greedy.add(10_000);
  for (let count = 0; count < 100; count++) modest.rows.add(clock.nowMs());
  greedy.queue.start();
  modest.queue.start();
  for (let refills = 0; refills < 20; refills++) {
    await greedy.settle();
    await modest.settle();
    clock.advance(20);
  }
  await modest.settle();
  expect([modest.tried.length, greedy.tried.length > 200]).toEqual([100, true]);
  await modest.queue.stop();
  expect(await greedy.stop()).toEqual([0, 0, 0]);
});
