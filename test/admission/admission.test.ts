import { describe, expect, test } from "vitest";
import { admissionFixture, LOOK_MS, NORMAL } from "./admission-fixture.ts";

describe("an order is refused when its capacity will not come before its deadline", () => {
  test("a burst on an idle service is admitted as far as its deadlines allow, orders that have not come to the line included", () => {
    const { burst, admission } = admissionFixture();
    // Margin and own hold leave 1.8 s, of which 1.44 s may be waited: five at once, and five more every 100 ms.
    expect(burst(200)).toBe(75);
    expect(admission.refused).toEqual({ deadline: 125, limit: 0, max_in_flight: 0 });
  });

  test("who has a free permit is admitted, however long it is held: only so can a wrong estimate be mended", () => {
    expect(admissionFixture({ holdMs: 60_000 }).burst(20)).toBe(5);
  });

  test("an order that came to the line, or to nothing, is not counted twice", async () => {
    const { admission, burst, wait } = admissionFixture();
    expect(burst(95)).toBe(75);
    for (let n = 0; n < 75; n++) admission.arrived(NORMAL, []);
    expect(burst(1)).toBe(1);
    admission.arrived(NORMAL, []);
    wait(75);
    expect(burst(1)).toBe(0);
  });

  test("permits that were taken one after the other come back so: each one's age counts", () => {
    const { state, admits, wait, burst } = admissionFixture({ holdMs: 1_100 });
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
    const { state, burst, wait } = admissionFixture();
    wait(5);
    state.nowMs += 400;
    // Each may last as long again, and so may the next: 1.44 s are enough for two rounds.
    expect(burst(200)).toBe(10);
  });

  test("but not those that seem to, because the process stood still: their ends have not been heard of", () => {
    const { state, admission, burst, wait } = admissionFixture();
    wait(5);
    state.nowMs += 400 + LOOK_MS;
    admission.tick();
    expect(burst(200)).toBe(75);
  });

  test("a hold that was cut off at a deadline says how long holds take at least, not how long", () => {
    const { courier, burst } = admissionFixture({ holdMs: 1_100 });
    for (let n = 0; n < 100; n++) courier.holdTime().add(300, true);
    expect(courier.holdTime().expectedMs(0)).toBe(1_100);
    expect(burst(20)).toBe(5);
  });

  test("the last holds count, not those of all time", () => {
    const { courier, burst } = admissionFixture({ holdMs: 1_000 });
    for (let n = 0; n < 1_000; n++) courier.holdTime().add(1_000);
    for (let n = 0; n < 32; n++) courier.holdTime().add(100);
    expect(burst(200)).toBe(75);
  });
});

describe("a step that computes needs a thread as well", () => {
  const ALL = ["payment", "vendor", "courier"];

  test("an order's own steps are no line in front of it: nothing is refused where nothing of another order is", () => {
    const { admission, admits, exclusive, state } = admissionFixture();
    for (let n = 0; n < 20; n++) exclusive.holdTime("payment").add(1_500);
    for (let n = 0; n < 98; n++) {
      expect(admits(NORMAL, ALL)).toBe(true);
      admission.arrived(NORMAL, ALL);
      state.nowMs += 200;
    }
  });

  test("each kind of step has times of its own", () => {
    const { admits, exclusive, state } = admissionFixture();
    exclusive.holdTime("payment").add(1_500);
    exclusive.holdTime("vendor").add(1);
    for (let n = 0; n < 2; n++) exclusive.tryAcquire("payment");
    state.nowMs += 200;
    // A thread is free in 1.3 s. What takes a millisecond then is in time.
    expect([admits(NORMAL, ["vendor"]), admits(NORMAL, ["payment"])]).toEqual([true, false]);
  });

  test("times that turn orders away and get no younger count for less and less, until one is let through", () => {
    const { admits, exclusive, state } = admissionFixture();
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
    const { burst, exclusive, state } = admissionFixture();
    exclusive.holdTime("vendor").add(500);
    state.behind = [0, 6, 0];
    expect(burst(10, NORMAL, ["vendor"])).toBe(0);
    expect(burst(1)).toBe(1);
    state.behind = [0, 4, 0];
    expect(burst(10, NORMAL, ["vendor"])).toBe(2);
  });
});
