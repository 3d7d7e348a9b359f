import { expect, test } from "vitest";
import { campaign, type LedgerResult } from "../../load/ledger/campaign.ts";
import { intentOf } from "../../load/ledger/clients.ts";
import { MOMENTS } from "../../load/ledger/moments.ts";
import { reportOn } from "../../load/ledger/report.ts";
import { scheduleOf } from "../../load/ledger/schedule.ts";
import { SIGHTS } from "../../load/ledger/sights.ts";
import { WITHOUT_FAILING_DISK } from "../support/failing-disk.ts";
import { seedOf } from "../support/seed.ts";

const SEED = seedOf("SEED");
// A round takes six seconds on a quiet machine; a run that has not seen everything after so long never will.
const LIMIT_MS = 300_000;

async function small(seed: number): Promise<LedgerResult> {
  return await campaign({ seed, runMs: 1_000, limitMs: LIMIT_MS, clients: 16, brief: true, pauseMs: 60, say: () => {} });
}

test(`a small campaign sees everything and finds nothing wrong (SEED=${SEED})`, { timeout: 2 * LIMIT_MS }, async () => {
  const result = await small(SEED);
  const { violations, missing, orders, sights, remove } = result;
  // The report has the history of the order, without which nobody can find the cause.
  expect(violations, reportOn(result)).toEqual([]);
  expect(missing, `seed ${SEED}`).toEqual([]);
  expect(orders).toBeGreaterThan(100);
  const leftOut = WITHOUT_FAILING_DISK === undefined ? [] : ["full disk", "failed sync"];
  for (const sight of SIGHTS)
    if (!leftOut.includes(sight)) expect([sight, sights.count(sight)]).toEqual([sight, expect.toSatisfy((count) => count > 0)]);
  console.info(`seed ${SEED}: ${orders} orders, ${sights}`);
  remove();
});

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
