import { describe, expect, onTestFinished, test, vi } from "vitest";
import { admissionFixture, BACKGROUND, NORMAL, URGENT } from "./admission-fixture.ts";

describe("the limit adapts", () => {
  test("a line that stays is not let grow beyond what is short, and may be long again when it was empty", async () => {
    const { admits, admission, courier, look, wait, release } = admissionFixture();
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
    const { state, look, burst, admission } = admissionFixture({ holdMs: 600_000 });
    state.inFlight = 9_999;
    look(100);
    expect(burst(1)).toBe(1);
    expect(admission.limit).toBe(10_000);
  });

  test("while the journal takes long fewer are in flight, one at least, and it opens again", () => {
    const { state, look, admits, admission } = admissionFixture();
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

  test("a journal that takes long for each order is slow, although it answers again and again", () => {
    const { state, look, admits, admission } = admissionFixture();
    state.inFlight = 1_000;
    // Ten orders per second, each of which takes 0.9 s.
    for (let n = 0; n < 60 && admits(); n++) {
      look();
      if (n >= 9) admission.arrived(NORMAL, []);
    }
    expect(admission.refused).toMatchObject({ limit: 1, deadline: 0 });
  });

  test("and one that takes as long for a moment only is not", () => {
    const { state, look, admits, admission } = admissionFixture();
    state.inFlight = 1_000;
    for (let n = 0; n < 60; n++) {
      expect(admits()).toBe(true);
      look();
      if (n % 10 === 9) for (let back = 0; back < 10; back++) admission.arrived(NORMAL, []);
    }
  });

  test("a busy event loop counts like a slow journal", () => {
    const { state, admission, admits } = admissionFixture();
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
    const { wait, burst } = admissionFixture();
    for (const each of [URGENT, NORMAL, BACKGROUND]) wait(25, each);
    return burst(100, priority);
  };
  const rooms = [URGENT, NORMAL, BACKGROUND].map(room);
  expect(rooms).toEqual(rooms.toSorted((a, b) => b - a));
  expect(new Set(rooms).size).toBe(3);
});

test("who asked lately will ask again and come before orders of a lower priority, who asked long ago will not", () => {
  const limitAfter = (urgent: number, tenths: number) => {
    const { admission, burst, look, courier, wait } = admissionFixture();
    // Before, normal orders come one by one: it is known how many come in 2 s.
    for (let n = 0; n < 200; n++) {
      expect(burst(1)).toBe(1);
      admission.arrived(NORMAL, []);
      look();
    }
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
  const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
  onTestFinished(() => random.mockRestore());
  const { admission, burst, look, wait, release, state } = admissionFixture();
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
