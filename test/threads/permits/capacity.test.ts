import { setImmediate as drainMicrotasks } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CancelScope, Capacity, monotonicMs, type Permit } from "../../../src/threads/index.ts";
import { CAUSES } from "../causes.ts";

/** A plain copy: the private fields behind the getters cannot be read through the wrapper that a failed match prints. */
const counts = ({ limit, inUse, waiting }: Capacity) => ({ limit, inUse, waiting });
const canceledBy = (cause: string) => expect.objectContaining({ name: "Canceled", causedBy: cause });

/** A scope, its wait and how that ended so far; the rejection is taken at once so that it is never unhandled. */
function ask(capacity: Capacity, scope = new CancelScope(), priority?: number) {
  const seen: { scope: CancelScope; permit?: Permit; error?: unknown } = { scope };
  capacity.acquire(scope, priority).then(
    (permit) => (seen.permit = permit),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

describe("limit", () => {
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("%d is refused", (limit) => {
    expect(() => new Capacity(limit)).toThrow(RangeError);
  });

  test("1 is the smallest, and nothing is in use at first", () => {
    expect(counts(new Capacity(1))).toMatchObject({ limit: 1, inUse: 0, waiting: 0 });
  });

  test("rule 1: is never exceeded, by tryAcquire or acquire", async () => {
    const capacity = new Capacity(3);
    const permits = [await capacity.acquire(), capacity.tryAcquire(), await capacity.acquire(new CancelScope())];
    expect(counts(capacity)).toMatchObject({ limit: 3, inUse: 3, waiting: 0 });
    expect(capacity.tryAcquire()).toBeUndefined();
    const fourth = ask(capacity);
    await drainMicrotasks();
    expect(fourth.permit).toBeUndefined();
    expect(counts(capacity)).toMatchObject({ limit: 3, inUse: 3, waiting: 1 });
    for (const permit of permits) permit?.release();
    await drainMicrotasks();
    fourth.permit?.release();
    expect(counts(capacity)).toMatchObject({ limit: 3, inUse: 0, waiting: 0 });
  });
});

describe("order", () => {
  test("waiters are served first come first served, one for each release", async () => {
    const capacity = new Capacity(1);
    let held = await capacity.acquire();
    const waiters = [ask(capacity), ask(capacity), ask(capacity)];
    for (const [index, waiter] of waiters.entries()) {
      expect(capacity.waiting).toBe(3 - index);
      held.release();
      await drainMicrotasks();
      expect(waiters.map((each) => each.permit !== undefined)).toEqual([index >= 0, index >= 1, index >= 2]);
      if (waiter.permit === undefined) throw new Error("no permit");
      held = waiter.permit;
    }
    held.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("rule 2: a newcomer overtakes neither a waiter nor a grant that has not been seen yet", async () => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const first = ask(capacity);
    const second = ask(capacity);
    held.release();
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 1 });
    expect(capacity.tryAcquire()).toBeUndefined();
    const late = ask(capacity);
    await drainMicrotasks();
    first.permit?.release();
    await drainMicrotasks();
    expect(second.permit).toBeDefined();
    expect(late.permit).toBeUndefined();
  });
});

/** Who holds a permit of the waiters that were asked for, one grant after the other; each gives it back at once. */
async function grantsOf(held: Permit, waiters: ReturnType<typeof ask>[]): Promise<number[]> {
  const order: number[] = [];
  held.release();
  while (order.length < waiters.length) {
    await drainMicrotasks();
    const next = waiters.findIndex((each, index) => each.permit !== undefined && !order.includes(index));
    if (next < 0) throw new Error("nobody was granted the permit");
    order.push(next);
    waiters[next]?.permit?.release();
  }
  return order;
}

describe("priority", () => {
  test("each that waits gets its weight's share of the grants, and within one priority who came first goes first", async () => {
    const capacity = new Capacity(1);
    capacity.weigh([4, 2, 1]);
    const held = await capacity.acquire();
    const priorities = [2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    const waiters = priorities.map((priority) => ask(capacity, new CancelScope(), priority));
    const order = await grantsOf(held, waiters);
    for (const [priority, share] of [4, 2, 1].entries()) {
      const own = order.filter((index) => priorities[index] === priority);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
      expect(order.slice(0, 7).filter((index) => priorities[index] === priority)).toHaveLength(share);
    }
    expect(priorities[order[0] as number]).toBe(0);
  });

  test("nobody saves up a share that he did not ask for, and what nobody asks for is for the others", async () => {
    const capacity = new Capacity(1);
    let held = await capacity.acquire();
    const grants = (count: number, priority: number) => Array.from({ length: count }, () => ask(capacity, new CancelScope(), priority));
    expect(await grantsOf(held, grants(50, 2))).toHaveLength(50);
    held = await capacity.acquire();
    const late = grants(13, 2);
    const urgent = grants(8, 0);
    const order = await grantsOf(held, [...late, ...urgent]);
    // One background grant to eight urgent ones, although the background had none while it waited alone.
    expect(order.slice(0, 9).filter((index) => index < late.length)).toHaveLength(1);
  });

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
    const capacity = new Capacity(9, { nowMs: () => nowMs, assumedMs: 7 });
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
    const capacity = new Capacity(1, { nowMs: () => nowMs, assumedMs: 50 });
    const permit = capacity.tryAcquire("long");
    nowMs += 1_500;
    permit?.release();
    expect([capacity.holdTime("long").expectedMs(nowMs), capacity.holdTime("short").expectedMs(nowMs)]).toEqual([1_500, 50]);
    for (let n = 0; n < 1_000; n++) capacity.holdTime(`kind ${n}`);
    expect(capacity.holdTime("one more")).toBe(capacity.holdTime("and another"));
    expect(capacity.holdTime("one more")).not.toBe(capacity.holdTime("long"));
  });
});

describe("rule 6: a wait that has become hopeless", () => {
  /** One permit, of which it is known that it is held for 1 s. */
  async function slow(endsHopelessWaits: boolean) {
    let nowMs = monotonicMs();
    const capacity = new Capacity(1, { endsHopelessWaits, nowMs: () => nowMs });
    const first = await capacity.acquire();
    nowMs += 1_000;
    first.release();
    const held = await capacity.acquire();
    const late = ask(capacity, new CancelScope());
    const stopTimer = late.scope.cancelAfter(60_000);
    return { capacity, held, late, stopTimer, pass: (ms: number) => (nowMs += ms), nowMs: () => nowMs };
  }

  test("gets no permit: its scope is canceled, and the next one is granted", async () => {
    const { capacity, held, late, stopTimer, pass } = await slow(true);
    const next = ask(capacity);
    pass(59_500);
    held.release();
    expect(late.scope.cause).toBe("deadline");
    await drainMicrotasks();
    expect(late.error).toEqual(canceledBy("deadline"));
    expect(next.permit).toBeDefined();
    next.permit?.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
    stopTimer();
  });

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
    const { held, late, stopTimer, pass } = await slow(endsHopelessWaits);
    pass(ms);
    held.release();
    await drainMicrotasks();
    expect(late.permit).toBeDefined();
    expect(late.scope.cause).toBeUndefined();
    stopTimer();
  });
});

describe("cancel", () => {
  test.each(CAUSES)("rule 3: %s before the wait fails it although a permit is free", async (cause) => {
    const capacity = new Capacity(1);
    const scope = new CancelScope();
    scope.cancel(cause);
    await expect(capacity.acquire(scope)).rejects.toEqual(canceledBy(cause));
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
    expect(scope.listenerCount).toBe(0);
  });

  test("rule 3: canceled and then released in the same turn, the wait fails and the permit is free", async () => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const waiter = ask(capacity);
    waiter.scope.cancel("deadline");
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 0 });
    held.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
    await drainMicrotasks();
    expect(waiter.error).toEqual(canceledBy("deadline"));
    expect(waiter.permit).toBeUndefined();
  });

  test.each([0, 1, 2])("waiter %i of three leaves the queue and the others keep their order", async (gone) => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const waiters = [ask(capacity), ask(capacity), ask(capacity)];
    const stay = waiters.filter((_, index) => index !== gone);
    waiters[gone]?.scope.cancel("client_disconnected");
    // A newcomer after it: a queue whose last link was cut wrongly would lose this one.
    stay.push(ask(capacity));
    expect(capacity.waiting).toBe(3);
    held.release();
    for (const waiter of stay) {
      await drainMicrotasks();
      expect(stay.filter((each) => each.permit !== undefined).at(-1)).toBe(waiter);
      waiter.permit?.release();
    }
    expect(waiters[gone]).toMatchObject({ error: canceledBy("client_disconnected") });
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("rule 4: granted, then canceled before the waiter ran: the permit goes to the next one", async () => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const first = ask(capacity);
    const second = ask(capacity);
    held.release();
    first.scope.cancel("shutdown");
    await drainMicrotasks();
    expect(first.permit).toBeUndefined();
    expect(first.error).toEqual(canceledBy("shutdown"));
    expect(second.permit).toBeDefined();
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 0 });
    second.permit?.release();
    expect(capacity.inUse).toBe(0);
  });

  test("rule 4: with nobody behind, the permit is free again", async () => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const only = ask(capacity);
    held.release();
    only.scope.cancel("deadline");
    await drainMicrotasks();
    expect(only.error).toEqual(canceledBy("deadline"));
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("rule 4: a whole queue granted and canceled hands the permit to the one that stayed", async () => {
    const capacity = new Capacity(1);
    const held = await capacity.acquire();
    const shared = new CancelScope();
    const leaving = [ask(capacity, shared), ask(capacity, shared), ask(capacity, shared)];
    const stays = ask(capacity);
    held.release();
    shared.cancel("sibling_failed");
    await drainMicrotasks();
    for (const each of leaving) expect(each.error).toEqual(canceledBy("sibling_failed"));
    expect(stays.permit).toBeDefined();
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 0 });
  });

  test("of a holder takes nothing from it", async () => {
    const capacity = new Capacity(1);
    const holder = ask(capacity);
    await drainMicrotasks();
    holder.scope.cancel("deadline");
    await drainMicrotasks();
    expect(capacity.inUse).toBe(1);
    holder.permit?.release();
    expect(capacity.inUse).toBe(0);
  });

  test("a holder that releases in its cancel listener, before waiters of the same scope hear of the cancel", async () => {
    const capacity = new Capacity(1);
    const scope = new CancelScope();
    const held = await capacity.acquire(scope);
    scope.onCancel(() => held.release());
    const same = ask(capacity, scope);
    const stays = ask(capacity);
    scope.cancel("shutdown");
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 1 });
    await drainMicrotasks();
    expect(same.error).toEqual(canceledBy("shutdown"));
    expect(counts(capacity)).toMatchObject({ inUse: 1, waiting: 0 });
    stays.permit?.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("holders that all release in their cancel listeners lose no permit", async () => {
    const capacity = new Capacity(2);
    const scope = new CancelScope();
    for (const held of [await capacity.acquire(scope), await capacity.acquire(scope)]) scope.onCancel(() => held.release());
    ask(capacity, scope);
    const stay = [ask(capacity), ask(capacity)];
    scope.cancel("shutdown");
    await drainMicrotasks();
    for (const { permit } of stay) permit?.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("leaves no listener on a scope: granted, canceled, or never waited", async () => {
    const capacity = new Capacity(1);
    const shared = new CancelScope();
    const first = ask(capacity, shared);
    expect(shared.listenerCount).toBe(0);
    const second = ask(capacity, shared);
    const other = ask(capacity);
    expect([shared.listenerCount, other.scope.listenerCount]).toEqual([1, 1]);
    await drainMicrotasks();
    first.permit?.release();
    expect(shared.listenerCount).toBe(0);
    other.scope.cancel("deadline");
    expect(other.scope.listenerCount).toBe(0);
    await drainMicrotasks();
    second.permit?.release();
    expect(counts(capacity)).toMatchObject({ inUse: 0, waiting: 0 });
  });
});

describe("permit", () => {
  test("rule 5: released twice throws and gives nothing back a second time", async () => {
    const capacity = new Capacity(2);
    const permit = await capacity.acquire();
    const other = await capacity.acquire();
    permit.release();
    expect(() => permit.release()).toThrow("permit released twice");
    expect(capacity.inUse).toBe(1);
    other.release();
    expect(capacity.inUse).toBe(0);
  });

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
