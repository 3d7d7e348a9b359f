import { expect, test } from "vitest";
import { intentOf } from "../../load/ledger/clients.ts";
import { MOMENTS } from "../../load/ledger/moments.ts";
import { scheduleOf } from "../../load/ledger/schedule.ts";

const PLANNED = 400;
const KINDS = [
  ...["kill", "kill at", "terminate", "lock journal", "full disk", "failed sync", "set clock", "storm", "receiver down", "back up"],
  "restore",
];
const DAY_MS = 24 * 60 * 60 * 1000;

const planOf = (seed: number, brief: boolean) => scheduleOf(seed, { brief, pauseMs: 100 }).take(PLANNED).toArray();

test("a seed makes the same schedule and the same requests each time, another seed makes others", () => {
  expect(planOf(7, false)).toEqual(planOf(7, false));
  expect(planOf(7, false)).not.toEqual(planOf(8, false));
  const requests = (seed: number) => Array.from({ length: PLANNED }, (_, n) => intentOf(seed, n));
  expect(requests(7)).toEqual(requests(7));
  expect(requests(7)).not.toEqual(requests(8));
});

test.each([true, false])("each round has everything (brief: %s)", (brief) => {
  const plan = planOf(7, brief);
  // A round has one restore; the last round is cut off.
  const rounds = plan.filter(({ kind }) => kind === "restore").length;
  for (const kind of KINDS) expect([kind, plan.filter((one) => one.kind === kind).length >= rounds - 1]).toEqual([kind, true]);
  if (!brief) expect(new Set(plan.flatMap((one) => (one.kind === "kill at" ? [one.moment] : [])))).toEqual(new Set(MOMENTS));
});

test("the clock never parts so far that a key would expire", () => {
  const ahead = planOf(7, false).flatMap((one) => (one.kind === "set clock" ? [one.aheadMs] : []));
  expect(Math.min(...ahead)).toBeLessThan(0);
  expect(Math.max(...ahead)).toBeGreaterThan(0);
  expect(Math.max(...ahead) - Math.min(...ahead)).toBeLessThan(DAY_MS);
});
