import { describe, expect, test } from "vitest";
import { Admission } from "../../src/admission/admission.ts";

const LOOK_MS = 100;

/** An admission over one capacity of five that is held for 100 ms, as the default couriers, and two threads that compute. */
function fixture({ orderTimeoutMs = 2_000, maxInFlight = 10_000 } = {}) {
  const courier = { limit: 5, inUse: 0, waiting: 0, held: { averageMs: 100 as number | undefined, firstHeldForMs: 0 } };
  const exclusive = { limit: 2, inUse: 0, waiting: 0, held: { averageMs: 20, firstHeldForMs: 0 } };
  const state = { nowMs: 0, inFlight: 0, behind: 0 };
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
  const admits = (urgency = 3, computing = 0) => admission.admit(urgency, computing) === undefined;
  /** How many of a burst are admitted, none of which has come to its capacity yet. */
  const burst = (count: number, urgency?: number, computing?: number) =>
    Array.from({ length: count }, () => admits(urgency, computing)).filter(Boolean).length;
  /** Time passes, in which so much is on. */
  const look = (times: number) => {
    for (let n = 0; n < times; n++) {
      state.nowMs += LOOK_MS;
      admission.look();
    }
  };
  return { admission, courier, exclusive, state, admits, burst, look };
}

describe("an order is refused when its capacity will not come before its deadline", () => {
  test("a burst on an idle service is admitted as far as its deadlines allow, orders that have not come to the line included", () => {
    const { burst, admission } = fixture();
    // Of 2 s the line may take seven tenths of what margin and run leave: five at once, then one every 20 ms for 1.2 s.
    expect(burst(200)).toBe(65);
    expect(admission.refused).toEqual({ deadline: 135, limit: 0, max_in_flight: 0 });
  });

  test("who has a free permit is admitted, however long that is held: only so can a wrong estimate be mended", () => {
    const { burst, courier } = fixture();
    courier.held.averageMs = 60_000;
    expect(burst(20)).toBe(5);
  });

  test("a hold time that is not known yet is taken for a twentieth of the deadline", () => {
    const { burst, courier } = fixture({ orderTimeoutMs: 60_000 });
    courier.held.averageMs = undefined;
    expect(burst(200)).toBe(65);
  });

  test("or for twice as long as the first permit has been held by now, where that is more", () => {
    const { burst, courier } = fixture();
    Object.assign(courier.held, { averageMs: undefined, firstHeldForMs: 200 });
    // One every 80 ms for 0.8 s, not one every 20 ms.
    expect(burst(200)).toBe(15);
  });

  test("an order that came to the line, or to nothing, is not counted twice", () => {
    const { admission, burst, courier } = fixture();
    expect(burst(65)).toBe(65);
    for (let n = 0; n < 65; n++) admission.arrived(0);
    expect(burst(1)).toBe(1);
    admission.arrived(0);
    Object.assign(courier, { inUse: 5, waiting: 60 });
    expect(burst(1)).toBe(0);
  });

  test("the urgent are admitted when others are not any more, and the least urgent are refused first", () => {
    const { courier, admits } = fixture();
    courier.inUse = 5;
    const longest = (urgency: number) => {
      for (courier.waiting = 0; ; courier.waiting++) if (!admits(urgency)) return courier.waiting;
    };
    const { admission } = fixture();
    expect(admission.limit).toBe(65);
    const lines = [0, 1, 2, 3, 4, 5, 6, 7].map(longest);
    expect(lines).toEqual(lines.toSorted((a, b) => b - a));
    expect(lines[0]).toBeGreaterThan(lines[3] ?? 0);
    expect(lines[3]).toBeGreaterThan(lines[7] ?? 0);
  });

  test("a step that computes needs a thread as well, those that wait for something else first are before it", () => {
    const { admission, burst, exclusive, state } = fixture();
    Object.assign(exclusive.held, { averageMs: 500 });
    // Two have a thread, and one comes free every quarter of a second: the sixth would come too late.
    expect(burst(10, 3, 1)).toBe(5);
    for (let n = 0; n < 5; n++) admission.arrived(1);
    state.behind = 5;
    expect(burst(10, 3, 1)).toBe(0);
    expect(burst(1, 3, 0)).toBe(1);
    state.behind = 0;
    expect(burst(10, 3, 3)).toBe(1);
  });
});

describe("the limit adapts", () => {
  test("a line that stays is not let grow beyond what is tolerated, and is wide again soon after", () => {
    const { admits, courier, look, admission } = fixture();
    Object.assign(courier, { inUse: 5, waiting: 55 });
    expect(admits()).toBe(true);
    admission.arrived(0);
    look(30);
    expect(admits()).toBe(false);
    expect(admission.refused.limit).toBe(1);
    // Twice as long as a courier takes: ten of them wait for five couriers.
    courier.waiting = 9;
    expect(admits()).toBe(true);
    admission.arrived(0);
    courier.waiting = 10;
    expect(admits()).toBe(false);
    // As long as it is kept at that it stays so.
    courier.waiting = 9;
    look(50);
    courier.waiting = 10;
    expect(admits()).toBe(false);
    Object.assign(courier, { inUse: 4, waiting: 0 });
    look(20);
    Object.assign(courier, { inUse: 5, waiting: 55 });
    expect(admits()).toBe(true);
  });

  test("a burst that is gone within a second narrows nothing that matters", () => {
    const { admission, admits, courier, look } = fixture();
    courier.inUse = 5;
    for (courier.waiting = 55; courier.waiting > 0; courier.waiting -= 5) {
      look(1);
      expect([courier.waiting, admits()]).toEqual([courier.waiting, true]);
      admission.arrived(0);
    }
  });

  test("slowness is no overload: 9999 orders in flight that wait for nothing", () => {
    const { state, look, burst, admission, courier } = fixture();
    state.inFlight = 9_999;
    courier.held.averageMs = 600_000;
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
    admission.arrived(0);
    admission.arrived(0);
    look(2);
    expect(admits()).toBe(true);
  });

  test("a busy event loop counts like a slow journal", () => {
    const { state, admission, admits } = fixture();
    state.inFlight = 1_000;
    for (let n = 0; n < 30; n++) {
      state.nowMs += 1_000;
      admission.look();
    }
    expect(admits()).toBe(false);
    expect(admission.limit).toBeLessThan(1_000);
  });

  test("it is never below 1 nor above MAX_IN_FLIGHT", () => {
    const { admission, courier, state } = fixture({ maxInFlight: 7 });
    expect(admission.limit).toBe(7);
    Object.assign(courier, { inUse: 5, waiting: 1_000 });
    state.inFlight = 0;
    expect(admission.limit).toBe(1);
  });
});

test("Retry-After grows with the excess, and says 30 s at most", () => {
  const { admission, burst, look, courier } = fixture();
  const refusal = () => admission.admit(3, 0)?.retryAfterSeconds;
  Object.assign(courier, { inUse: 5, waiting: 100 });
  expect(refusal()).toBe(1);
  for (let n = 0; n < 30; n++) {
    courier.waiting = 0;
    courier.inUse = 0;
    expect(burst(1)).toBe(1);
    admission.arrived(0);
    Object.assign(courier, { inUse: 5, waiting: 100 });
    burst(9);
    look(1);
  }
  expect(refusal()).toBe(10);
  for (let n = 0; n < 30; n++) {
    burst(1_000);
    look(1);
  }
  expect(refusal()).toBe(30);
  expect(admission.full()).toBe(30);
  expect(admission.refused.max_in_flight).toBe(1);
});

test("a flood of the most urgent does not shut the others out: each urgency gets in again and again, and the line never runs empty", () => {
  const { admission, courier, state } = fixture();
  const admitted = { 0: 0, 3: 0, 7: 0 };
  const longestMs = { 0: 0, 3: 0, 7: 0 };
  const lastMs = { 0: 0, 3: 0, 7: 0 };
  const ask = (urgency: 0 | 3 | 7) => {
    if (admission.admit(urgency, 0) === undefined) {
      admission.arrived(0);
      if (courier.inUse < courier.limit) courier.inUse++;
      else courier.waiting++;
      admitted[urgency]++;
      lastMs[urgency] = state.nowMs;
    }
    longestMs[urgency] = Math.max(longestMs[urgency], state.nowMs - lastMs[urgency]);
  };
  let idle = 0;
  // 60 s: 200 of them a second beside 10 each of the usual and the least urgency, where 50 a second can be served.
  for (state.nowMs = 5; state.nowMs < 60_000; state.nowMs += 5) {
    ask(0);
    if (state.nowMs % 100 === 0) ask(3);
    if (state.nowMs % 100 === 50) ask(7);
    if (state.nowMs % 20 === 0 && courier.inUse > 0) {
      if (courier.waiting > 0) courier.waiting--;
      else courier.inUse--;
    }
    if (state.nowMs % LOOK_MS === 0) admission.look();
    if (state.nowMs > 1_000 && courier.inUse < courier.limit) idle++;
  }
  expect(idle).toBe(0);
  // A quarter of the deadline, and until the next one comes to a line that has become short enough.
  for (const urgency of [3, 7] as const) expect(longestMs[urgency]).toBeLessThan(2_000);
  expect(admitted[0]).toBeGreaterThan(admitted[3] + admitted[7]);
});
