import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Fixture } from "./fixture.ts";

const GRACE_MS = 400;
const TURN_MS = 20;

test("a main thread whose turns take 20 ms has a stuck step's thread replaced within 1.5 times the grace", async () => {
  await using fixture = await Fixture.start({ threads: 1, cancelGraceMs: GRACE_MS });
  const stuck = await fixture.running("spin");
  stuck.scope.cancel("deadline");
  let turns = 0;
  // By turns and not by the clock: on a slow machine a turn takes longer, and fewer of them fit into the grace.
  for (; fixture.replacements.length === 0 && turns < 1_000; turns++) {
    const end = performance.now() + TURN_MS;
    while (performance.now() < end);
    await nextTurn();
  }
  expect(fixture.reasons()).toEqual(["grace"]);
  expect(turns).toBeLessThanOrEqual((1.5 * GRACE_MS) / TURN_MS);
  expect(await stuck.outcome).toEqual({ status: "canceled", cause: "deadline", effect: "unknown" });
  await fixture.allThreadsUp();
  fixture.expectIdle();
});
