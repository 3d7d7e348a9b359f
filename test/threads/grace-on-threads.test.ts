import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { canceledBy, Fixture, OK } from "./fixture.ts";

// No busy machine takes as long to wake a thread.
const GRACE_MS = 500;
const STOPPED = canceledBy("deadline", "none");
const GIVEN_UP = canceledBy("deadline", "unknown");

function computeFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

// The judgment itself, on a clock of its own, is tested in `grace-watch.test.ts`.
test("a step that stops in time is not given up, whatever the main thread did or its own thread had to wait for meanwhile", async () => {
  await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
  const bystander = await fixture.running("wait");
  const alone = await fixture.running("sleep");
  await pause(GRACE_MS);
  alone.scope.cancel("deadline");
  expect(await alone.outcome).toEqual(STOPPED);
  // A stall of the main thread until just past the end of the grace, and well past it.
  for (const stallMs of [GRACE_MS + 2, 1.5 * GRACE_MS]) {
    const step = await fixture.running("sleep");
    // From here the timers come next; from where the step's start was heard of, what it says would.
    await turn();
    step.scope.cancel("deadline");
    // It stops in time, but nobody is there to hear of it.
    fixture.counters.block(step.script.ends);
    computeFor(stallMs);
    expect(await step.outcome).toEqual(STOPPED);
  }
  // A thread that got its processor back only when the main thread did has the grace once more.
  const step = await fixture.running("sleep");
  const holder = await fixture.running("hold_thread");
  step.scope.cancel("deadline");
  computeFor(2 * GRACE_MS);
  fixture.open(holder);
  expect(await step.outcome).toEqual(STOPPED);
  fixture.open(bystander);
  for (const { outcome } of [holder, bystander]) expect(await outcome).toEqual(OK);
  fixture.expectIdle();
  expect(fixture.replacements).toEqual([]);
});

test("a step behind one that computes on its thread is given up; then it stops after all, and is counted once", async () => {
  await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
  const step = await fixture.running("sleep");
  // Holds the event loop for more than the grace, and for less than a thread may stand still.
  const busy = await fixture.running(fixture.script("compute_ms", { ms: 2 * GRACE_MS }));
  step.scope.cancel("deadline");
  expect(await step.outcome).toEqual(GIVEN_UP);
  expect(fixture.counters.read(busy.script.ends)).toBe(0);
  expect(await busy.outcome).toEqual(OK);
  await fixture.counters.reached(step.script.ends);
  expect(await fixture.lone("succeed").outcome).toEqual(OK);
  fixture.expectIdle();
  expect(fixture.replacements).toEqual([]);
});

test("a main thread whose turns take 20 ms gives a stuck step up within 1.5 times the grace, and has its thread replaced", async () => {
  const TURN_MS = 20;
  await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
  const stuck = await fixture.running("spin");
  stuck.scope.cancel("deadline");
  let turns = 0;
  const turnWhile = async (isDue: () => boolean) => {
    for (; isDue() && turns < 1_000; turns++) {
      computeFor(TURN_MS);
      await turn();
    }
  };
  // By turns and not by the clock: on a slow machine a turn takes longer, and fewer of them fit into the grace.
  await turnWhile(() => fixture.threads.counters().unsettled > 0);
  expect(turns).toBeLessThanOrEqual((1.5 * GRACE_MS) / TURN_MS);
  expect(await stuck.outcome).toEqual(GIVEN_UP);
  expect(fixture.replacements).toEqual([]);
  await turnWhile(() => fixture.replacements.length === 0);
  expect(fixture.reasons()).toEqual(["grace"]);
  await fixture.allThreadsUp();
  fixture.expectIdle();
});
