import { setImmediate as drainMicrotasks } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CancelScope, Capacity, monotonicMs, type Permit } from "../../../src/threads/index.ts";
import { FairQueue } from "../../../src/threads/permits/fair-queue.ts";

// What `capacity.property.test.ts` cannot say: what is refused, how permits are used, and what is learned from holds.

/** A scope, its wait and how that ended so far; the rejection is taken at once so that it is never unhandled. */
function ask(capacity: Capacity, scope = new CancelScope(), priority?: number) {
  const seen: { scope: CancelScope; permit?: Permit; error?: unknown } = { scope };
  capacity.acquire(scope, priority).then(
    (permit) => (seen.permit = permit),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("a limit of %d is refused", (limit) => {
  expect(() => new Capacity(limit)).toThrow(RangeError);
  expect(new Capacity(1)).toMatchObject({ limit: 1, inUse: 0, waiting: 0 });
});

describe("priority", () => {
  test("what a priority has had in advance stays the same part of a grant when its weight changes", async () => {
    const capacity = new Capacity(1);
    capacity.weigh([1, 1, 0.000001]);
    const held = await capacity.acquire();
    const waiters = [2, 2, 0, 0, 0].map((priority) => ask(capacity, new CancelScope(), priority));
    held.release();
    await drainMicrotasks();
    waiters[2]?.permit?.release();
    await drainMicrotasks();
    capacity.weigh([1, 1, 1]);
    waiters[0]?.permit?.release();
    await drainMicrotasks();
    // Its next grant would have been due after a million others.
    const order = [3, 1, 4];
    for (const index of order) {
      expect(waiters[index]?.permit).toBeDefined();
      waiters[index]?.permit?.release();
      await drainMicrotasks();
    }
  });

  test.each([-1, 3, 1.5])("%d is refused", async (priority) => {
    const capacity = new Capacity(1);
    using _held = await capacity.acquire();
    await expect(capacity.acquire(undefined, priority)).rejects.toThrow(RangeError);
    expect(capacity.waiting).toBe(0);
  });
});

describe("holds", () => {
  const known = (capacity: Capacity) => [capacity.holdTime().known, capacity.holdTime().expectedMs(0)];

  test("one in four is measured while nobody waits, each where somebody does, but not a grant that met a cancel", async () => {
    let nowMs = 0;
    const capacity = new Capacity(1, { nowMs: () => nowMs });
    for (let n = 0; n < 8; n++) {
      const permit = capacity.tryAcquire(undefined, nowMs - 5);
      nowMs += 15;
      permit?.release();
    }
    expect(known(capacity)).toEqual([2, 20]);
    const held = await capacity.acquire();
    const [canceled, stays, last] = [ask(capacity), ask(capacity), ask(capacity)];
    nowMs += 20;
    held.release();
    canceled.scope.cancel("shutdown");
    await drainMicrotasks();
    nowMs += 20;
    stays.permit?.release();
    expect(known(capacity)).toEqual([4, 20]);
    await drainMicrotasks();
    last.permit?.release();
  });

  test("count from when there is what the permits stand for, and one that ended before counts for nothing", async () => {
    let nowMs = 0;
    const capacity = new Capacity(9, { nowMs: () => nowMs, patienceMs: 140 });
    const ready = Promise.withResolvers<void>();
    const measuring = capacity.grants.measureFrom(ready.promise, () => nowMs);
    const grants = Array.from({ length: 5 }, () => capacity.tryAcquire() as Permit);
    nowMs = 1_000;
    grants[0]?.release();
    expect(known(capacity)).toEqual([0, 7]);
    ready.reject(new Error("it did not start"));
    await measuring;
    nowMs += 20;
    for (const grant of grants.slice(1)) grant.release();
    expect(known(capacity)).toEqual([1, 20]);
  });

  test("of one kind say nothing about another, and kinds beyond number are one", () => {
    let nowMs = 0;
    const capacity = new Capacity(1, { nowMs: () => nowMs, patienceMs: 1_000 });
    const permit = capacity.tryAcquire("long");
    nowMs += 1_500;
    permit?.release();
    expect([capacity.holdTime("long").expectedMs(nowMs), capacity.holdTime("short").expectedMs(nowMs)]).toEqual([1_500, 50]);
    const held = capacity.tryAcquire();
    void capacity.acquire(undefined, 1, "long").then((granted) => granted.release());
    expect(["long", "short"].map((kind) => capacity.holdTime(kind).waiting)).toEqual([1, 0]);
    held?.release();
    expect(capacity.holdTime("long").waiting).toBe(0);
    for (let n = 0; n < 1_000; n++) capacity.holdTime(`kind ${n}`);
    expect(capacity.holdTime("one more")).toBe(capacity.holdTime("and another"));
    expect(capacity.holdTime("one more")).not.toBe(capacity.holdTime("long"));
  });
});

describe("rule 6: a wait that has become hopeless", () => {
  /** One permit, of which it is known that it is held for 1 s. */
  async function slow(endsHopelessWaits: boolean) {
    let nowMs = monotonicMs();
    const capacity = new Capacity(1, { ...(endsHopelessWaits && { endsHopelessWaits }), nowMs: () => nowMs });
    const first = await capacity.acquire();
    nowMs += 1_000;
    first.release();
    const held = await capacity.acquire();
    const late = ask(capacity, new CancelScope());
    const stopTimer = late.scope.cancelAfter(60_000);
    return { capacity, held, late, stopTimer, pass: (ms: number) => (nowMs += ms), nowMs: () => nowMs };
  }

  test("gets the permit all the same where nobody else waits, and is right if it takes less time than others did", async () => {
    const { capacity, held, late, stopTimer, pass } = await slow(true);
    // Short ones behind long ones, as they were canceled one after the other while the thread was free.
    pass(59_500);
    held.release();
    await drainMicrotasks();
    expect([late.permit === undefined, late.scope.cause]).toEqual([false, undefined]);
    pass(10);
    late.permit?.release();
    expect(capacity.holdTime().shortestMs(0)).toBe(10);
    stopTimer();
  });

  test("the shortest hold counts for less and less while it turns others away and none is new", async () => {
    const { capacity, held, pass, nowMs } = await slow(true);
    capacity.holdTime().doubt(nowMs());
    expect(capacity.holdTime().shortestMs(nowMs() + 2_000)).toBe(1_000);
    expect(capacity.holdTime().shortestMs(nowMs() + 4_000)).toBe(500);
    expect(capacity.holdTime().shortestMs(nowMs() + 6_000)).toBe(250);
    pass(1_000);
    held.release();
    await drainMicrotasks();
    expect(capacity.holdTime().shortestMs(nowMs() + 6_000)).toBe(1_000);
  });

  test.each([
    ["that can still be done in time", true, 58_000],
    ["of a capacity whose holders go on after the deadline", false, 59_500],
  ])("and one %s does", async (_what, endsHopelessWaits, ms) => {
    const { capacity, held, late, stopTimer, pass } = await slow(endsHopelessWaits);
    // Not the last one, who gets it in any case.
    ask(capacity);
    pass(ms);
    held.release();
    await drainMicrotasks();
    expect(late.permit).toBeDefined();
    expect(late.scope.cause).toBeUndefined();
    stopTimer();
  });
});

describe("a permit", () => {
  test("using releases it, also when the block throws", async () => {
    const capacity = new Capacity(1);
    const leave = async () => {
      using _permit = await capacity.acquire();
      expect(capacity.inUse).toBe(1);
      throw new Error("left");
    };
    await expect(leave()).rejects.toThrow("left");
    expect(capacity.inUse).toBe(0);
  });

  test("using after a release by hand throws", () => {
    const capacity = new Capacity(1);
    const both = () => {
      using permit = capacity.tryAcquire();
      permit?.release();
    };
    expect(both).toThrow("permit released twice");
    expect(capacity.inUse).toBe(0);
  });
});

interface Waiter {
  readonly priority: number;
  previous: Waiter | undefined;
  next: Waiter | undefined;
}

const newWaiter = (priority: number): Waiter => ({ priority, previous: undefined, next: undefined });
const priority = fc.constantFrom(0, 1, 2);
const weight = fc.constantFrom(0.01, 1, 4, 8);

/** Serves the line, whose next is taken, until this one's turn. */
function servedBefore(queue: FairQueue<Waiter>, waiter: Waiter): number {
  for (let served = 0; ; served++) {
    const next = queue.first() as Waiter;
    queue.remove(next);
    queue.served(next);
    if (next === waiter) return served;
  }
}

describe("the line", () => {
  test("as many are served before a newcomer as it is told, whatever the weights, the line and the grants before", () => {
    const property = fc.property(
      fc.tuple(weight, weight, weight),
      fc.array(fc.record({ priority, serves: fc.nat(2) }), { maxLength: 40 }),
      priority,
      (weights, commands, own) => {
        const queue = new FairQueue<Waiter>();
        queue.weigh(weights);
        for (const command of commands) {
          queue.add(newWaiter(command.priority));
          for (let n = 0; n < command.serves; n++) {
            const next = queue.first();
            if (next === undefined) break;
            queue.remove(next);
            queue.served(next);
          }
        }
        const told = queue.inFrontOf(own, [0, 0, 0]);
        const newcomer = newWaiter(own);
        queue.add(newcomer);
        expect(told).toBe(servedBefore(queue, newcomer));
        expect(told).toBeLessThanOrEqual(commands.length);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  test("those who will come first count: of its own priority all, of another as many as its share lets in", () => {
    const queue = new FairQueue<Waiter>();
    queue.weigh([8, 4, 1]);
    expect([0, 1, 2].map((own) => queue.inFrontOf(own, [0, 10, 0]))).toEqual([0, 10, 1]);
    expect(queue.inFrontOf(1, [1_000, 10, 1_000])).toBe(10 + 21 + 3);
  });
});
