import { expect, test } from "vitest";
import { campaign } from "../../load/cluster/campaign.ts";
import { Database } from "../../load/cluster/database.ts";
import { planOf } from "../../load/cluster/plan.ts";
import { reportOn } from "../../load/cluster/report.ts";
import { seedOf } from "../support/seed.ts";

const SEED = seedOf("SEED");
const NODES = 3;
const ORDERS = 250;
const LEASE_MS = 1_000;
// This is a test of what is right and not of how fast it is: `npm run campaign:nodes` looks at the time.
const PATIENCE_MS = 60_000;
const BLOWS = { kills: 1, freezes: 1, databaseKills: 1, cuts: 0, failovers: 0 };

test(`a small campaign against three nodes and their database finds nothing wrong (SEED=${SEED})`, { timeout: 300_000 }, async () => {
  const result = await campaign({
    seed: SEED,
    plan: planOf(SEED, { ...BLOWS, orders: ORDERS, nodes: NODES, leaseMs: LEASE_MS }),
    nodes: NODES,
    orders: ORDERS,
    clients: 24,
    leaseMs: LEASE_MS,
    couriersWithinMs: PATIENCE_MS,
    endedWithinMs: PATIENCE_MS,
    openDatabase: () => Database.start({ standby: false, fsync: false }),
    say: () => {},
  });
  const { violations, recovery, couriers, sights, orders, remove } = result;
  // The report has the history of the order, without which nobody can find the cause.
  expect(violations, reportOn(result)).toEqual([]);
  expect(Object.fromEntries(recovery.counts)).toEqual({ kill: 1, freeze: 1, "kill database": 1 });
  expect(couriers.most).toBe(couriers.count);
  expect(orders).toBeGreaterThanOrEqual(ORDERS);
  for (const sight of ["placed", "failed", "undone", "repeat answered from the journal", "event delivered"] as const)
    expect([sight, sights.count(sight)]).toEqual([sight, expect.toSatisfy((count) => count > 0)]);
  console.info(reportOn(result));
  remove();
});
