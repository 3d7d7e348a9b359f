import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Fixture } from "./fixture.ts";

const GRACE_MS = 400;
const TURN_MS = 20;

test("a main thread whose turns take 20 ms gives a stuck step up within 1.5 times the grace, and has its thread replaced", async () => {
  await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
  const stuck = await fixture.running("spin");
  stuck.scope.cancel("deadline");
  let turns = 0;
  const turnWhile = async (isDue: () => boolean) => {
    for (; isDue() && turns < 1_000; turns++) {
      const end = performance.now() + TURN_MS;
      while (performance.now() < end);
      await nextTurn();
    }
  };
  // By turns and not by the clock: on a slow machine a turn takes longer, and fewer of them fit into the grace.
  await turnWhile(() => fixture.threads.counters().unsettled > 0);
  expect(turns).toBeLessThanOrEqual((1.5 * GRACE_MS) / TURN_MS);
  expect(await stuck.outcome).toEqual({ status: "canceled", cause: "deadline", effect: "unknown" });
  expect(fixture.replacements).toEqual([]);
  await turnWhile(() => fixture.replacements.length === 0);
  expect(fixture.reasons()).toEqual(["grace"]);
  await fixture.allThreadsUp();
  fixture.expectIdle();
});
