import { expect, test } from "vitest";
import { type CampaignResult, campaign } from "../../load/ledger/campaign.ts";
import { reportOn } from "../../load/ledger/report.ts";
import { SIGHTS } from "../../load/ledger/sights.ts";
import { WITHOUT_FAILING_DISK } from "../support/failing-disk.ts";
import { seedOf } from "../support/seed.ts";

const SEED = seedOf("SEED");
// A round takes six seconds on a quiet machine; a run that has not seen everything after so long never will.
const LIMIT_MS = 300_000;

async function small(seed: number): Promise<CampaignResult> {
  return await campaign({ seed, runMs: 1_000, limitMs: LIMIT_MS, clients: 16, brief: true, pauseMs: 60, say: () => {} });
}

test(`a small campaign sees everything and finds nothing wrong (SEED=${SEED})`, { timeout: 2 * LIMIT_MS }, async () => {
  const result = await small(SEED);
  const { violations, missing, orders, sights, remove } = result;
  // The report has the history of the order, without which nobody can find the cause.
  expect(violations, reportOn(result, SEED)).toEqual([]);
  expect(missing, `seed ${SEED}`).toEqual([]);
  expect(orders).toBeGreaterThan(100);
  const leftOut = WITHOUT_FAILING_DISK === undefined ? [] : ["full disk", "failed sync"];
  for (const sight of SIGHTS)
    if (!leftOut.includes(sight)) expect([sight, sights.count(sight)]).toEqual([sight, expect.toSatisfy((count) => count > 0)]);
  console.info(`seed ${SEED}: ${orders} orders, ${sights}`);
  remove();
});
