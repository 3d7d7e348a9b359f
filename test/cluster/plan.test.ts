import { expect, test } from "vitest";
import { planOf } from "../../load/cluster/plan.ts";

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
