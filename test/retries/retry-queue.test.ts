import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { EndpointHealth } from "../../src/retries/endpoint-health.ts";
import { Pace } from "../../src/retries/pace.ts";
import { RetryQueue, type RetryQueueOptions } from "../../src/retries/retry-queue.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRows, type Row } from "./fake-rows.ts";

const FAILED = { counts: true, overloaded: false, pauseMs: 0 };

/** A queue over rows in memory; tries succeed at once unless a test says otherwise. */
class Fixture {
  readonly clock = new FakeClock();
  readonly rows = new FakeRows();
  readonly health: EndpointHealth;
  readonly queue: RetryQueue<Row>;
  readonly pace: Pace | undefined;
  readonly tried: number[] = [];
  readonly faults: string[] = [];
  mostInFlight = 0;
  /** What the endpoint makes of a call. */
  call: (row: Row) => Promise<"ok" | typeof FAILED> | "ok" | typeof FAILED = () => "ok";

  constructor({ maxPerSecond, ...options }: Partial<RetryQueueOptions<Row>> & { readonly maxPerSecond?: number } = {}) {
    const { maxInFlight = 4 } = options;
    if (maxPerSecond !== undefined) this.pace = new Pace(maxPerSecond, this.clock);
    this.health = new EndpointHealth({ maxInFlight, clock: this.clock, random: () => 1 });
    this.queue = new RetryQueue<Row>({
      idOf: ({ id }) => id,
      due: (nowMs, limit) => this.rows.due(nowMs, limit),
      attempt: (row) => this.#attempt(row),
      health: this.health,
      maxInFlight,
      clock: this.clock,
      onFault: (message) => this.faults.push(message),
      random: () => 1,
      ...(this.pace !== undefined && { pace: this.pace }),
      ...options,
    });
  }

  add(count: number, inMs = 0): Row[] {
    return Array.from({ length: count }, () => this.rows.add(this.clock.nowMs() + inMs));
  }

  /** Lets everything happen that happens without time passing. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 10; idle = this.rows.busy === 0 ? idle + 1 : 0) await turn();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await turn();
  }

  async #attempt(row: Row): Promise<void> {
    this.tried.push(row.id);
    this.mostInFlight = Math.max(this.mostInFlight, this.queue.inFlight);
    const epoch = this.health.begin();
    let result: Awaited<ReturnType<Fixture["call"]>> | undefined;
    try {
      result = await this.call(row);
    } finally {
      this.health.end(epoch, result);
    }
    if (result === "ok") await this.rows.done(row.id);
    else await this.rows.failed(row.id, this.clock.nowMs() + (this.health.down ? 0 : 1_000));
  }
}

/** A gate that many can wait at. */
function newGate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

test("nothing is read before the start; then what is due is tried, and the rest when its time comes", async () => {
  const at = new Fixture();
  at.add(10);
  const [later] = at.add(1, 3_000);
  at.queue.notify();
  await at.settle();
  expect(at.rows.reads).toBe(0);
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

test("with nothing to wait for there is neither a timer nor a read", async () => {
  const at = new Fixture();
  at.add(3);
  at.queue.start();
  await at.settle();
  at.clock.advance(50);
  await at.settle();
  expect(at.clock.timers).toBe(0);
  expect(at.rows.reads).toBeLessThanOrEqual(3);
});

test("a row that is due in an hour costs one read in ten seconds, and a wall clock that jumps is noticed as soon", async () => {
  const at = new Fixture();
  at.add(1, 3_600_000);
  at.queue.start();
  await at.settle();
  for (let count = 0; count < 6; count++) {
    expect(at.clock.nextMs).toBe(10_000);
    at.clock.advance(10_000);
    await at.settle();
  }
  expect(at.rows.reads).toBe(7);
});

test("a notify is not lost at any stage of a read", async () => {
  for (let stage = 0; stage < 12; stage++) {
    const at = new Fixture();
    at.queue.start();
    for (let turns = stage; turns > 0; turns--) await turn();
    at.add(1);
    at.queue.notify();
    await at.until(() => at.rows.size === 0);
    await at.queue.stop();
  }
});

test("a notify from within a try, before its first wait, starts nothing twice and is not lost", async () => {
  const at = new Fixture({ maxInFlight: 2 });
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
});

test("a page that was read before a try was written down does not bring its row back, nor make it be forgotten", async () => {
  const at = new Fixture();
  const [row] = at.add(1);
  // The page is fixed while the row is being tried, and handed over after the try has ended.
  const held = newGate();
  let reads = 0;
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    async due(nowMs, limit) {
      const page = await at.rows.due(nowMs, limit);
      if (++reads === 2) await held.passed;
      return page;
    },
    async attempt({ id }) {
      at.tried.push(id);
      await called.passed;
      if (at.tried.length === 1) await at.rows.failed(id, at.clock.nowMs() + 1_000);
      else await at.rows.done(id);
    },
    health: at.health,
    maxInFlight: 4,
    clock: at.clock,
  });
  const called = newGate();
  queue.start();
  await at.until(() => queue.inFlight === 1);
  queue.notify();
  await at.until(() => reads === 2);
  called.open();
  await at.until(() => queue.inFlight === 0);
  held.open();
  await at.settle();
  expect(at.tried).toEqual([row?.id]);
  // That page did not say either when the row will be due again.
  at.clock.advance(50);
  await at.settle();
  at.clock.advance(950);
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([row?.id, row?.id]);
  await queue.stop();
});

test.each([false, true])(
  "a row that moved its own next try is tried then, with a read under way at the end of its try: %s",
  async (reading) => {
    const at = new Fixture();
    at.add(1);
    at.call = async () => {
      if (reading) at.queue.notify();
      for (let turns = 0; turns < 3; turns++) await turn();
      if (reading) at.queue.notify();
      return at.tried.length < 4 ? FAILED : "ok";
    };
    at.queue.start();
    for (let tries = 1; tries <= 4; tries++) {
      await at.until(() => at.tried.length === tries && at.queue.inFlight === 0);
      await at.settle();
      at.clock.advance(50);
      await at.settle();
      at.clock.advance(950);
    }
    expect(at.rows.size).toBe(0);
    await at.queue.stop();
  },
);

test("a row that somebody else took out is not tried from the buffer, nor from a page under way", async () => {
  const at = new Fixture({ maxInFlight: 1 });
  const gate = newGate();
  at.call = async () => {
    await gate.passed;
    return "ok" as const;
  };
  const [, buffered] = at.add(3);
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  at.rows.remove(buffered?.id ?? 0);
  at.queue.forget(buffered?.id ?? 0);
  gate.open();
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([1, 3]);
});

test("of 100 000 rows no more are in memory than fit", async () => {
  const left = new Map(Array.from({ length: 100_000 }, (_, id) => [id, { id }]));
  const at = new Fixture();
  let mostAsked = 0;
  let mostHeld = 0;
  let handedOut = 0;
  let tried = 0;
  const underWay = new Set<number>();
  const health = new EndpointHealth({ maxInFlight: 50, clock: at.clock });
  const queue = new RetryQueue<{ id: number }>({
    idOf: ({ id }) => id,
    async due(_nowMs, limit) {
      mostAsked = Math.max(mostAsked, limit);
      const items = left.values().take(limit).toArray();
      handedOut += items.filter(({ id }) => !underWay.has(id)).length;
      await turn();
      return { items };
    },
    async attempt({ id }) {
      tried++;
      underWay.add(id);
      const epoch = health.begin();
      await turn();
      health.end(epoch, "ok");
      left.delete(id);
      underWay.delete(id);
    },
    health,
    maxInFlight: 50,
    clock: at.clock,
  });
  queue.start();
  while (left.size > 0) {
    await turn();
    mostHeld = Math.max(mostHeld, queue.inFlight);
  }
  expect(tried).toBe(100_000);
  expect(mostHeld).toBe(50);
  // A page has the rows that are here already and room for a buffer of twice the tries at one time.
  expect(mostAsked).toBeLessThanOrEqual(50 + 100);
  // What was read twice was in the buffer then: it is not read over and over.
  expect(handedOut).toBeLessThan(300_000);
  await queue.stop();
});

test("an endpoint that is down gets one probe after each pause, and nothing else is read; back up, it gets everything", async () => {
  const at = new Fixture({ maxInFlight: 8 });
  at.add(1_000);
  at.call = () => FAILED;
  at.queue.start();
  await at.settle();
  expect(at.health.down).toBe(true);
  expect(at.tried.length).toBeLessThanOrEqual(12);
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    const { length } = at.tried;
    const { reads } = at.rows;
    at.rows.mostAsked = 0;
    at.clock.advance(pauseMs - 1);
    await at.settle();
    expect(at.tried).toHaveLength(length);
    at.clock.advance(1);
    await at.settle();
    expect(at.tried).toHaveLength(length + 1);
    expect(at.rows.reads).toBe(reads + 1);
    expect(at.rows.mostAsked).toBe(1);
  }
  at.call = () => "ok";
  at.clock.advance(10_000);
  await at.until(() => at.rows.size === 0);
  expect(at.mostInFlight).toBe(8);
  await at.queue.stop();
});

test("probes take turns: one row that always fails does not keep the endpoint looking down", async () => {
  const at = new Fixture({ maxInFlight: 1 });
  at.add(6);
  at.call = ({ id }) => (id === 6 ? "ok" : FAILED);
  at.queue.start();
  for (let probes = 0; probes < 10 && at.rows.get(6) !== undefined; probes++) {
    await at.settle();
    at.clock.advance(10_000);
  }
  expect(at.rows.get(6)).toBeUndefined();
  await at.queue.stop();
});

test("the pace is kept, and bounds nobody who tries now", async () => {
  const at = new Fixture({ maxInFlight: 100, maxPerSecond: 100 });
  at.add(1_000);
  at.queue.start();
  await at.settle();
  expect(at.tried).toHaveLength(3);
  for (let count = 0; count < 50; count++) {
    at.clock.advance(20);
    await at.settle();
  }
  expect(at.tried).toHaveLength(3 + 100);
  const [row] = at.rows.all();
  if (row === undefined) throw new Error("no row");
  await at.queue.attemptNow(row);
  expect(at.tried).toHaveLength(104);
  await at.queue.stop();
});

test("try now: whatever the health and a pause, together with a try under way, and out of the buffer", async () => {
  const at = new Fixture({ maxInFlight: 1 });
  const gate = newGate();
  at.call = async () => {
    await gate.passed;
    return "ok" as const;
  };
  const [first, second, third] = at.add(3) as [Row, Row, Row];
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  const joined = at.queue.attemptNow(first);
  at.queue.pause();
  for (let count = 0; count < 5; count++) at.health.end(at.health.begin(), FAILED);
  const forced = at.queue.attemptNow(second);
  expect(at.tried).toEqual([1, 2]);
  gate.open();
  await Promise.all([joined, forced]);
  await at.settle();
  expect(at.tried).toEqual([1, 2]);
  at.queue.resume();
  at.clock.advance(10_000);
  await at.until(() => at.rows.size === 0);
  expect(at.tried).toEqual([1, 2, 3]);
  await at.queue.stop();
  await expect(at.queue.attemptNow(third)).rejects.toThrow("stopped");
});

test("paused: nothing is tried or read, what is under way goes on", async () => {
  const at = new Fixture();
  at.add(100);
  at.queue.start();
  await at.until(() => at.tried.length > 0);
  at.queue.pause();
  const { length } = at.tried;
  await at.settle();
  const { reads } = at.rows;
  at.queue.notify();
  at.clock.advance(60_000);
  await at.settle();
  expect(at.tried).toHaveLength(length);
  expect(at.rows.reads).toBe(reads);
  expect(at.rows.size).toBe(100 - length);
  at.queue.resume();
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("a resume looks at once for what became due during the pause, tried rows included", async () => {
  const at = new Fixture();
  at.add(1);
  const queue = new RetryQueue<Row>({
    idOf: ({ id }) => id,
    due: (nowMs, limit) => at.rows.due(nowMs, limit),
    async attempt({ id }) {
      at.tried.push(id);
      queue.pause();
      await turn();
    },
    health: at.health,
    maxInFlight: 1,
    clock: at.clock,
  });
  queue.start();
  await at.until(() => at.tried.length === 1 && queue.inFlight === 0);
  queue.resume();
  await at.until(() => at.tried.length === 2);
  await queue.stop();
});

test("what a pause threw out of the buffer is read again at once", async () => {
  const at = new Fixture({ maxInFlight: 1 });
  const gate = newGate();
  at.call = async () => {
    await gate.passed;
    return "ok" as const;
  };
  at.add(3);
  at.queue.start();
  await at.until(() => at.tried.length === 1);
  at.queue.pause();
  at.queue.resume();
  gate.open();
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("a journal that cannot be read is asked again with exponential backoff, reported once", async () => {
  const at = new Fixture();
  at.rows.unavailable = true;
  at.add(1);
  at.queue.start();
  await at.settle();
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000]) {
    const { reads } = at.rows;
    at.queue.notify();
    at.clock.advance(pauseMs - 1);
    await at.settle();
    expect(at.rows.reads).toBe(reads);
    at.clock.advance(1);
    await at.settle();
    expect(at.rows.reads).toBe(reads + 1);
  }
  expect(at.faults).toHaveLength(1);
  at.rows.unavailable = false;
  at.clock.advance(10_000);
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("a row whose try rejects rests, and so do all when there are many of them", async () => {
  const at = new Fixture({ maxInFlight: 1 });
  at.add(2);
  let broken = true;
  at.call = ({ id }) => {
    if (broken && id !== 2) throw new Error("bug");
    return "ok";
  };
  at.queue.start();
  at.add(1_000);
  at.queue.notify();
  await at.settle();
  expect(at.rows.get(2)).toBeUndefined();
  const triedFirst = at.tried.length;
  expect(triedFirst).toBe(65);
  expect(at.faults).toHaveLength(64);
  at.clock.advance(59_999);
  await at.settle();
  expect(at.tried).toHaveLength(triedFirst);
  broken = false;
  at.clock.advance(1);
  await at.until(() => at.rows.size === 0);
  await at.queue.stop();
});

test("stop: at any moment it leaves no try, no read and no timer", async () => {
  for (let turns = 0; turns < 40; turns++) {
    const at = new Fixture({ maxInFlight: 3, maxPerSecond: 500 });
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
    const { length } = at.tried;
    await Promise.all([at.queue.stop(), at.queue.stop()]);
    at.health.close();
    at.pace?.close();
    expect([at.queue.inFlight, at.rows.busy, at.clock.timers]).toEqual([0, 0, 0]);
    at.queue.notify();
    at.queue.resume();
    await at.settle();
    expect(at.tried).toHaveLength(length);
  }
});
