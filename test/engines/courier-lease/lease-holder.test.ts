import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LeaseCluster } from "./lease-cluster.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

describe("a node alone", () => {
  test("asks once for many orders, renews while it is used, gives back when it is not, and is silent then", async () => {
    const cluster = new LeaseCluster({ nodes: 1, capacity: 5, seed: "alone" });
    const node = cluster.node(0);
    for (let order = 0; order < 20; order++) await cluster.passUntil(node.order(20));
    expect(node.holder.held).toBeGreaterThan(0);
    // 20 orders of 20 ms each take 0.4 s: one call that asks and two that renew.
    expect(node.holder.calls).toBeLessThanOrEqual(4);
    await cluster.pass(2_000);
    expect(node.holder.held).toBe(0);
    expect(cluster.entries).toEqual([]);
    const calls = node.holder.calls;
    await cluster.pass(5_000);
    expect(node.holder.calls).toBe(calls);
  });

  test("stops its calls before its lease runs out when the engine is gone, and goes on when it is back", async () => {
    const cluster = new LeaseCluster({ nodes: 1, capacity: 2, seed: "outage" });
    const node = cluster.node(0);
    void node.order(60_000);
    await cluster.pass(100);
    expect(cluster.underWay).toBe(1);
    cluster.engineUp = false;
    await cluster.pass(1_300);
    expect(cluster.underWay).toBe(0);
    expect(node.holder.held).toBe(0);
    expect(node.faults).toBe(1);
    const after = node.order(10);
    await cluster.pass(300);
    cluster.engineUp = true;
    await cluster.pass(500);
    expect(await cluster.passUntil(after)).toBe("done");
  });

  test("an order whose call was cut off makes it again once there is a lease, and so does one that had not begun its own", async () => {
    const cluster = new LeaseCluster({ nodes: 1, capacity: 2, seed: "again" });
    const node = cluster.node(0);
    const orders = [node.order(2_000, 0, 5_000), node.order(100, 1_000)];
    await cluster.pass(100);
    expect(cluster.underWay).toBe(1);
    cluster.engineUp = false;
    await cluster.pass(1_100);
    expect([node.calls, cluster.underWay]).toEqual([1, 0]);
    cluster.engineUp = true;
    expect(await cluster.passUntil(Promise.all(orders))).toEqual(["done", "done"]);
    expect(node.calls).toBe(3);
  });

  test("gives everything back when it stops", async () => {
    const cluster = new LeaseCluster({ nodes: 1, capacity: 2, seed: "stop" });
    await cluster.passUntil(cluster.node(0).order(10));
    await cluster.passUntil(cluster.node(0).holder.stop());
    expect(cluster.entries).toEqual([]);
  });
});

describe("three nodes at full load", () => {
  test("share; when one dies its couriers work again within 2 s; newcomers get their part", async () => {
    const cluster = new LeaseCluster({ nodes: 3, capacity: 5, seed: "kill" });
    for (const node of cluster.nodes) node.load(8, [80, 120]);
    await cluster.pass(3_000);
    for (const node of cluster.nodes) expect(node.placed).toBeGreaterThan(10);
    cluster.node(1).kill();
    expect(cluster.underWay).toBeLessThan(5);
    expect(await cluster.passUntilFull(2_000)).toBeLessThan(2_000);
    const added = cluster.add();
    added.load(8, [80, 120]);
    await cluster.pass(2_000);
    expect(added.placed).toBeGreaterThan(5);
    expect(cluster.mostUnderWay).toBe(5);
  });

  test("one courier for three goes round: nobody waits until the deadline for the others' sake", async () => {
    const cluster = new LeaseCluster({ nodes: 3, capacity: 1, seed: "one" });
    for (const node of cluster.nodes) node.load(3, [40, 60]);
    await cluster.pass(10_000);
    for (const node of cluster.nodes) expect(node.placed).toBeGreaterThan(20);
    expect(cluster.mostUnderWay).toBe(1);
  });
});

const SEEDS = Number(process.env.LEASE_SEEDS ?? 12);

test.each(Array.from({ length: SEEDS }, (_, index) => `storm ${index}`))(
  "never more under way than couriers, whatever dies, stalls or is lost: seed %s",
  { timeout: 60_000 },
  async (seed) => {
    const cluster = new LeaseCluster({ nodes: 3, capacity: Number(seed.at(-1)) % 3 === 0 ? 1 : 5, seed });
    for (const node of cluster.nodes) node.load(6, [20, 400]);
    const { random } = cluster;
    cluster.pauses = 0.25;
    for (let round = 0; round < 40; round++) {
      cluster.loses = random() < 0.4 ? random() * 0.8 : 0;
      cluster.stalls = random() < 0.4 ? random() * 0.5 : 0;
      cluster.engineUp = random() > 0.15;
      if (random() < 0.25) {
        cluster.nodes[Math.floor(random() * cluster.nodes.length)]?.kill();
        cluster.add().load(6, [20, 400]);
      }
      await cluster.pass(400);
    }
    Object.assign(cluster, { loses: 0, stalls: 0, pauses: 0, engineUp: true });
    // What was lost on its way may still arrive, and count as a node's sign of life, for as long as a call can stall.
    await cluster.pass(6_000);
    expect(await cluster.passUntilFull(1_000)).toBeLessThan(1_000);
    expect(cluster.mostUnderWay).toBe(cluster.capacity);
  },
);
