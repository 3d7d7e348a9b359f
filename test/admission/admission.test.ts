import { setImmediate as drainMicrotasks } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission } from "../../src/admission/admission.ts";
import { Demand, fairWeights } from "../../src/admission/fair-shares.ts";
import { CancelScope, Capacity, type Permit } from "../../src/threads/index.ts";

const LOOK_MS = 100;
const [URGENT, NORMAL, BACKGROUND] = [0, 1, 2];

/** An admission over five couriers that are known to be held for 100 ms each, and two threads that compute, in virtual time. */
function fixture({ orderTimeoutMs = 2_000, maxInFlight = 10_000, holdMs = 100 as number | "unknown" } = {}) {
  const state = { nowMs: 0, inFlight: 0, behind: [0, 0, 0] };
  const options = { nowMs: () => state.nowMs, assumedMs: orderTimeoutMs / 20, halfLifeMs: orderTimeoutMs };
  const courier = new Capacity(5, options);
  const exclusive = new Capacity(2, options);
  if (holdMs !== "unknown") courier.holdTime().add(holdMs);
  const admission = new Admission({
    capacities: [courier],
    exclusive,
    computingBehind: () => state.behind,
    inFlight: () => state.inFlight,
    maxInFlight,
    orderTimeoutMs,
    nowMs: () => state.nowMs,
    random: () => 0.5,
  });
  const admits = (priority = NORMAL, computing: string[] = []) => admission.admit(priority, computing) === undefined;
  /** How many of a burst are admitted, none of which has come to its capacity yet. */
  const burst = (count: number, priority?: number, computing?: string[]) =>
    Array.from({ length: count }, () => admits(priority, computing)).filter(Boolean).length;
  const look = (times = 1) => {
    for (let n = 0; n < times; n++) {
      state.nowMs += LOOK_MS;
      admission.tick();
    }
  };
  const permits: Permit[] = [];
  /** So many ask for a courier. */
  const wait = (count: number, priority?: number) => {
    const scope = new CancelScope();
    for (let n = 0; n < count; n++)
      courier.acquire(scope, priority).then(
        (permit) => permits.push(permit),
        () => {},
      );
    return scope;
  };
  /** The oldest holder gives its courier back. */
  const release = async () => {
    await drainMicrotasks();
    permits.shift()?.release();
    await drainMicrotasks();
  };
  return { admission, courier, exclusive, state, admits, burst, look, wait, release };
}

describe("an order is refused when its capacity will not come before its deadline", () => {
  test("a burst on an idle service is admitted as far as its deadlines allow, orders that have not come to the line included", () => {
    const { burst, admission } = fixture();
    // Margin and own hold leave 1.8 s, of which 1.44 s may be waited: five at once, and five more every 100 ms.
    expect(burst(200)).toBe(75);
    expect(admission.refused).toEqual({ deadline: 125, limit: 0, max_in_flight: 0 });
  });

  test("who has a free permit is admitted, however long it is held: only so can a wrong estimate be mended", () => {
    expect(fixture({ holdMs: 60_000 }).burst(20)).toBe(5);
  });

  test("an order that came to the line, or to nothing, is not counted twice", async () => {
    const { admission, burst, wait } = fixture();
    expect(burst(95)).toBe(75);
    for (let n = 0; n < 75; n++) admission.arrived(NORMAL, []);
    expect(burst(1)).toBe(1);
    admission.arrived(NORMAL, []);
    wait(75);
    expect(burst(1)).toBe(0);
  });

  test("permits that were taken one after the other come back so: each one's age counts", () => {
    const { state, admits, wait, burst } = fixture({ holdMs: 1_100 });
    for (let n = 0; n < 5; n++) {
      wait(1);
      state.nowMs += 200;
    }
    // At 1 s the first comes back in 100 ms, then one every 200 ms: three of them within the 0.64 s that an order may wait.
    expect(burst(10)).toBe(3);
    state.nowMs += 1;
    expect(admits()).toBe(false);
  });

  test("holds that last longer than any before take longer now", () => {
    const { state, burst, wait } = fixture();
    wait(5);
    state.nowMs += 400;
    // Each may last as long again, and so may the next: 1.44 s are enough for two rounds.
    expect(burst(200)).toBe(10);
  });

  test("but not those that seem to, because the process stood still: their ends have not been heard of", () => {
    const { state, admission, burst, wait } = fixture();
    wait(5);
    state.nowMs += 400 + LOOK_MS;
    admission.tick();
    expect(burst(200)).toBe(75);
  });

  test("a hold that was cut off at a deadline says how long holds take at least, not how long", () => {
    const { courier, burst } = fixture({ holdMs: 1_100 });
    for (let n = 0; n < 100; n++) courier.holdTime().add(300, true);
    expect(courier.holdTime().expectedMs(0)).toBe(1_100);
    expect(burst(20)).toBe(5);
  });

  test("the last holds count, not those of all time", () => {
    const { courier, burst } = fixture({ holdMs: 1_000 });
    for (let n = 0; n < 1_000; n++) courier.holdTime().add(1_000);
    for (let n = 0; n < 32; n++) courier.holdTime().add(100);
    expect(burst(200)).toBe(75);
  });
});

describe("a step that computes needs a thread as well", () => {
  const ALL = ["payment", "vendor", "courier"];

  test("an order's own steps are no line in front of it: nothing is refused where nothing of another order is", () => {
    const { admission, admits, exclusive, state } = fixture();
    for (let n = 0; n < 20; n++) exclusive.holdTime("payment").add(1_500);
    for (let n = 0; n < 98; n++) {
      expect(admits(NORMAL, ALL)).toBe(true);
      admission.arrived(NORMAL, ALL);
      state.nowMs += 200;
    }
  });

  test("each kind of step has times of its own", () => {
    const { admits, exclusive, state } = fixture();
    exclusive.holdTime("payment").add(1_500);
    exclusive.holdTime("vendor").add(1);
    for (let n = 0; n < 2; n++) exclusive.tryAcquire("payment");
    state.nowMs += 200;
    // A thread is free in 1.3 s. What takes a millisecond then is in time.
    expect([admits(NORMAL, ["vendor"]), admits(NORMAL, ["payment"])]).toEqual([true, false]);
  });

  test("times that turn orders away and get no younger count for less and less, until one is let through", () => {
    const { admits, exclusive, state } = fixture();
    exclusive.holdTime("payment").add(1_900);
    exclusive.holdTime("vendor").add(20);
    const threads = [exclusive.tryAcquire("vendor"), exclusive.tryAcquire("vendor")];
    let admittedMs = 0;
    // The threads are busy with short steps of others all the time.
    for (; admittedMs === 0 && state.nowMs < 20_000; state.nowMs += 10) {
      threads.shift()?.release();
      threads.push(exclusive.tryAcquire("vendor"));
      if (admits(NORMAL, ["payment"])) admittedMs = state.nowMs;
    }
    expect(admittedMs).toBeGreaterThan(1_000);
    expect(admittedMs).toBeLessThan(6_000);
    exclusive.holdTime("payment").add(1_900);
    expect(admits(NORMAL, ["payment"])).toBe(false);
  });

  test("those that wait for something else first are before it, and an order without such a step does not care", () => {
    const { burst, exclusive, state } = fixture();
    exclusive.holdTime("vendor").add(500);
    state.behind = [0, 6, 0];
    expect(burst(10, NORMAL, ["vendor"])).toBe(0);
    expect(burst(1)).toBe(1);
    state.behind = [0, 4, 0];
    expect(burst(10, NORMAL, ["vendor"])).toBe(2);
  });
});

describe("the limit adapts", () => {
  test("a line that stays is not let grow beyond what is short, and may be long again when it was empty", async () => {
    const { admits, admission, courier, look, wait, release } = fixture();
    /** A tenth of a second, in which five give their courier back and as many come. */
    const pass = async () => {
      look();
      for (let n = 0; n < 5; n++) await release();
      wait(5);
    };
    wait(5 + 40);
    for (let n = 0; n < 11; n++) {
      expect(admits()).toBe(true);
      admission.arrived(NORMAL, []);
      await pass();
    }
    await pass();
    expect(courier.waiting).toBe(40);
    expect(admits()).toBe(false);
    expect(admission.refused).toMatchObject({ limit: 1, deadline: 0 });
    for (let n = 0; n < 40; n++) await release();
    expect(courier.waiting).toBe(0);
    look();
    wait(20);
    expect(admits()).toBe(true);
  });

  test("slowness is no overload: 9999 orders in flight that wait for nothing", () => {
    const { state, look, burst, admission } = fixture({ holdMs: 600_000 });
    state.inFlight = 9_999;
    look(100);
    expect(burst(1)).toBe(1);
    expect(admission.limit).toBe(10_000);
  });

  test("while the journal takes long fewer are in flight, one at least, and it opens again", () => {
    const { state, look, admits, admission } = fixture();
    state.inFlight = 1_000;
    expect(admits()).toBe(true);
    // Nothing comes back.
    look(40);
    expect(admits()).toBe(false);
    expect(admission.limit).toBeLessThan(100);
    expect(admission.limit).toBeGreaterThanOrEqual(1);
    state.inFlight = 0;
    expect(admits()).toBe(true);
    state.inFlight = 1_000;
    admission.arrived(NORMAL, []);
    admission.arrived(NORMAL, []);
    look(2);
    expect(admits()).toBe(true);
  });

  test("a busy event loop counts like a slow journal", () => {
    const { state, admission, admits } = fixture();
    state.inFlight = 1_000;
    for (let n = 0; n < 30; n++) {
      state.nowMs += 1_000;
      admission.tick();
    }
    expect(admits()).toBe(false);
    expect(admission.limit).toBeLessThan(1_000);
  });
});

test("who asks with a lower priority finds more in front of it", () => {
  const room = (priority: number) => {
    const { wait, burst } = fixture();
    for (const each of [URGENT, NORMAL, BACKGROUND]) wait(25, each);
    return burst(100, priority);
  };
  const rooms = [URGENT, NORMAL, BACKGROUND].map(room);
  expect(rooms).toEqual(rooms.toSorted((a, b) => b - a));
  expect(new Set(rooms).size).toBe(3);
});

test("who asked lately will ask again and come before orders of a lower priority, who asked long ago will not", () => {
  const limitAfter = (urgent: number, tenths: number) => {
    const { admission, burst, look, courier, wait } = fixture();
    const admitted = burst(urgent, URGENT);
    for (let n = 0; n < admitted; n++) admission.arrived(URGENT, []);
    look(tenths);
    courier.holdTime().add(100);
    wait(15);
    return admission.limit;
  };
  const quiet = limitAfter(0, 1);
  // 10 in 2 s, and chance may bring twice as many: 13 or 14 in the time that an order may wait.
  expect(quiet - limitAfter(10, 1)).toBeGreaterThanOrEqual(13);
  expect(quiet - limitAfter(10, 1)).toBeLessThanOrEqual(14);
  expect(quiet - limitAfter(10, 300)).toBeLessThanOrEqual(1);
});

test("Retry-After grows with the excess, and says 30 s at most", async () => {
  const { admission, burst, look, wait, release, state } = fixture();
  const refusal = () => admission.admit(NORMAL, [])?.retryAfterSeconds;
  const refused = async (count: number) => {
    const line = wait(1_000);
    expect(burst(count)).toBe(0);
    line.cancel("closed");
    state.nowMs += 100;
    for (let n = 0; n < 5; n++) await release();
  };
  await refused(1);
  expect(admission.full()).toBe(1);
  for (let n = 0; n < 30; n++) {
    expect(burst(1)).toBe(1);
    admission.arrived(NORMAL, []);
    await refused(9);
    look();
  }
  wait(1_000);
  expect(refusal()).toBe(10);
  for (let n = 0; n < 30; n++) {
    burst(1_000);
    look();
  }
  expect(refusal()).toBe(30);
  expect(admission.full()).toBe(30);
  expect(admission.refused.max_in_flight).toBe(2);
});

const asked = fc.tuple(fc.nat(100_000), fc.nat(100_000), fc.nat(100_000));

test("in any mix an order gets half as much again as one of the next priority, and the weights are only handed round", () => {
  fc.assert(
    fc.property(asked, (counts) => {
      const weights = fairWeights(counts);
      const each = weights.map((weight, priority) => weight / Math.max(1, counts[priority] as number));
      for (const lower of [1, 2]) expect((each[lower - 1] as number) / (each[lower] as number)).toBeGreaterThanOrEqual(1.5 - 1e-9);
      expect(weights.reduce((sum, weight) => sum + weight)).toBeCloseTo(13, 6);
      expect(Math.min(...weights)).toBeGreaterThan(0);
    }),
    { numRuns: 1_000 },
  );
});

test("most orders are urgent: they share the weights of all, in proportion", () => {
  const [urgent, normal, background] = fairWeights([900, 90, 10]);
  // 900 * 2.25, 90 * 1.5 and 10 parts of 13.
  expect(urgent).toBeCloseTo((13 * 2_025) / 2_170);
  expect(normal).toBeCloseTo((13 * 135) / 2_170);
  expect(background).toBeCloseTo((13 * 10) / 2_170);
});

test("what came longer ago than a deadline hardly counts", () => {
  const demand = new Demand(2_000);
  demand.asked[1] = 1_000;
  expect(demand.arriving(1, 20)).toBeCloseTo(10);
  for (let n = 0; n < 100; n++) demand.pass(100);
  expect(demand.asked[1]).toBeLessThan(10);
});
