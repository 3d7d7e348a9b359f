import { expect, test } from "vitest";
import { campaign } from "../../load/cluster/campaign.ts";
import { Couriers } from "../../load/cluster/couriers.ts";
import { Database } from "../../load/cluster/database.ts";
import { planOf } from "../../load/cluster/plan.ts";
import { reportOn } from "../../load/cluster/report.ts";
import type { Call } from "../../load/stand-in/call.ts";
import { eventually } from "../support/eventually.ts";
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

const OPTIONS = { kills: 20, freezes: 10, databaseKills: 5, cuts: 2, failovers: 1, orders: 20_000, nodes: 3, leaseMs: 1_500 };
const plan = planOf(7, OPTIONS);

test("a seed makes the same plan each time, another seed makes another one", () => {
  expect(planOf(7, OPTIONS)).toEqual(plan);
  expect(planOf(8, OPTIONS)).not.toEqual(plan);
});

test("a plan has as many blows of each kind as it is told to, one after another, all while orders are placed", () => {
  expect(
    Object.fromEntries(
      Map.groupBy(plan, ({ kind }) => kind)
        .entries()
        .map(([kind, { length }]) => [kind, length]),
    ),
  ).toEqual({
    kill: 20,
    freeze: 10,
    "kill database": 5,
    cut: 4,
    failover: 1,
  });
  const after = plan.map((blow) => blow.after);
  expect(after).toEqual(after.toSorted((one, other) => one - other));
  expect(after.at(-1)).toBeLessThan(OPTIONS.orders);
  expect(plan.map((blow) => blow.kind)).not.toEqual(plan.map((blow) => blow.kind).sort());
});

test("freezes and cuts take one to four leases, at every node, and cuts are in each direction", () => {
  const ofNodes = plan.flatMap((blow) => ("node" in blow ? [blow.node] : []));
  expect(new Set(ofNodes)).toEqual(new Set([0, 1, 2]));
  for (const blow of plan) {
    if (blow.kind !== "freeze" && blow.kind !== "cut") continue;
    expect(blow.ms).toBeGreaterThanOrEqual(OPTIONS.leaseMs);
    expect(blow.ms).toBeLessThanOrEqual(4 * OPTIONS.leaseMs);
  }
  const directions = plan.flatMap((blow) => (blow.kind === "cut" ? blow.directions : []));
  expect(directions.sort()).toEqual(["to-client", "to-client", "to-server", "to-server"]);
});

const calm = { type: "answer" } as const;

function withTwo(): { couriers: Couriers; tooMany: number[]; call: () => Call } {
  const tooMany: number[] = [];
  const couriers = new Couriers({ count: 2, slowMs: 10, onTooMany: (inUse) => tooMany.push(inUse) });
  const call = (): Call => {
    const called = { step: "courier", action: "perform" } as Call;
    couriers.began(called, calm);
    return called;
  };
  return { couriers, tooMany, call };
}

test("as many calls at one time as there are couriers are no fault, one more is", async () => {
  const { couriers, tooMany, call } = withTwo();
  call();
  couriers.ended(call());
  call();
  expect(couriers.most).toBe(2);
  call();
  await eventually("the fault", () => tooMany.length > 0);
  expect([tooMany, couriers.most]).toEqual([[3], 3]);
});

test("a call whose client had hung up does not count, although that was read later", async () => {
  const { couriers, tooMany, call } = withTwo();
  const first = call();
  call();
  call();
  couriers.gone(first);
  couriers.ended(first);
  // The fault that follows is judged later than that which must not come.
  call();
  await eventually("the fault that follows", () => tooMany.length > 0);
  expect(tooMany).toEqual([3]);
});

test("all in use is seen when it is so, and not before", async () => {
  const { couriers, call } = withTwo();
  call();
  expect(await couriers.untilAllInUse(30)).toBeUndefined();
  const until = couriers.untilAllInUse(60_000);
  call();
  expect(await until).toBeGreaterThanOrEqual(0);
});

test("calls are slow, and have an end that both sides see at once", () => {
  const { couriers } = withTwo();
  expect(couriers.began({} as Call, { type: "hang", slowMs: 5 })).toEqual({ type: "answer", slowMs: 15 });
  expect(couriers.began({} as Call, { type: "hangUpHalfway" })).toEqual({ type: "answer", slowMs: 10 });
  expect(couriers.began({} as Call, { type: "failAfter" })).toEqual({ type: "failAfter", slowMs: 10 });
});
