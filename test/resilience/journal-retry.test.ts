import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { JournalRetry } from "../../src/resilience/journal-retry.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { FakeClock } from "./fake-clock.ts";

/** `isTemporary`: as in the options. */
function open(isTemporary?: (error: unknown) => boolean) {
  const clock = new FakeClock();
  const scope = new CancelScope();
  const reported: string[] = [];
  const journal = new JournalRetry({
    scope,
    clock,
    random: () => 1,
    ...(isTemporary !== undefined && { isTemporary }),
    onStalled: (error) => reported.push(`stalled: ${(error as Error).message}`),
    onWorking: () => reported.push("working"),
  });
  const state = { works: false, calls: 0, message: "disk full" };
  const call = async () => {
    state.calls++;
    await turn();
    if (!state.works) throw new Error(state.message);
    return "written";
  };
  return { clock, scope, reported, journal, state, call };
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

test("a call is repeated with exponential backoff until it works", async () => {
  const { clock, scope, reported, journal, state, call } = open();
  const written = journal.run(call);
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 10_000]) {
    await settle();
    const { calls } = state;
    clock.advance(pauseMs - 1);
    await settle();
    expect(state.calls).toBe(calls);
    clock.advance(1);
    expect(state.calls).toBe(calls);
    await settle();
    expect(state.calls).toBe(calls + 1);
  }
  state.works = true;
  clock.advance(10_000);
  expect(await written).toBe("written");
  expect(reported).toEqual(["stalled: disk full", "working"]);
  expect(scope.listenerCount).toBe(0);
});

test("a cancel ends the wait; even after it a call is tried once", async () => {
  const { clock, scope, journal, state, call } = open();
  const waiting = journal.run(call);
  await settle();
  scope.cancel("shutdown");
  await expect(waiting).rejects.toThrow("shutdown");
  await expect(journal.run(call)).rejects.toThrow("shutdown");
  state.works = true;
  expect(await journal.run(call)).toBe("written");
  expect(state.calls).toBe(3);
  expect(clock.timers).toBe(0);
});

const isFull = (error: unknown) => (error as Error).message === "disk full";

test("a fault that does not pass is the caller's at once, at the first call and at a later one", async () => {
  const { clock, scope, reported, journal, state, call } = open(isFull);
  state.message = "no such row";
  await expect(journal.run(call)).rejects.toThrow("no such row");
  expect([state.calls, clock.asked, reported]).toEqual([1, [], []]);
  state.message = "disk full";
  const waiting = journal.run(call);
  const failing = expect(waiting).rejects.toThrow("no such row");
  await settle();
  state.message = "no such row";
  clock.advance(500);
  await failing;
  // The journal can be used: it said no to this one call.
  expect([state.calls, reported]).toEqual([3, ["stalled: disk full", "working"]]);
  expect([clock.timers, scope.listenerCount]).toEqual([0, 0]);
});

test("calls that failed for good or were canceled are counted no more: the next fault is told, and its end", async () => {
  const { clock, scope, reported, journal, state, call } = open(isFull);
  const [one, two] = [journal.run(call), journal.run(call)];
  const failing = Promise.all([expect(one).rejects.toThrow("no such row"), expect(two).rejects.toThrow("no such row")]);
  await settle();
  state.message = "no such row";
  clock.advance(500);
  await failing;
  reported.length = 0;
  state.message = "disk full";
  const third = journal.run(call);
  await settle();
  expect(reported).toEqual(["stalled: disk full"]);
  state.works = true;
  clock.advance(500);
  await third;
  expect(reported).toEqual(["stalled: disk full", "working"]);
  state.works = false;
  const last = journal.run(call);
  await settle();
  scope.cancel("shutdown");
  await expect(last).rejects.toThrow("shutdown");
  // Nobody knows whether it works.
  expect(reported).toEqual(["stalled: disk full", "working", "stalled: disk full"]);
  // A later one is a fault of its own.
  await expect(journal.run(call)).rejects.toThrow("shutdown");
  expect(reported).toHaveLength(4);
});
