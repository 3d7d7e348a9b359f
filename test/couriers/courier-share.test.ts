import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LEASE_MS, ShareCluster } from "./share-cluster.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

describe("a node alone", () => {
  test("asks once for many orders, asks again while couriers are used, gives back what is not used, and is silent then", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 5, seed: "alone" });
    const node = cluster.node(0);
    await cluster.pass(1_000);
    expect(node.requests).toBe(0);
    for (let order = 0; order < 20; order++) expect(await cluster.passUntil(node.order(20))).toBe("done");
    expect(cluster.held).toBeGreaterThan(0);
    // 20 orders of 20 to 25 ms are half a second: one request for the first courier, and one each 200 ms.
    expect(node.requests).toBeGreaterThanOrEqual(3);
    expect(node.requests).toBeLessThanOrEqual(5);
    await cluster.pass(1_000);
    expect(cluster.held).toBe(0);
    const { requests } = node;
    await cluster.pass(5_000);
    expect(node.requests).toBe(requests);
  });

  test("what waits asks no more often than every 50 ms", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 1, seed: "often" });
    const node = cluster.node(0);
    node.load(10, [5, 10]);
    await cluster.pass(2_000);
    expect(node.placed).toBeGreaterThan(100);
    expect(node.requests).toBeLessThanOrEqual(41);
  });

  test("an order that leaves while it waits takes its wish back", async () => {
    const cluster = new ShareCluster({ nodes: 2, total: 1, seed: "leaves" });
    const [holder, node] = [cluster.node(0), cluster.node(1)];
    void holder.order(1_500);
    await cluster.pass(100);
    expect(await cluster.passUntil(node.order(10, 0, 300))).toBe("canceled");
    expect(cluster.lives.get(node.life)?.wanted).toBe(1);
    await cluster.pass(300);
    expect(cluster.lives.get(node.life)?.wanted).toBe(0);
  });

  test("without the database it cuts its calls off before others use its couriers, and goes on when it is back", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 2, seed: "outage" });
    const node = cluster.node(0);
    const cut = node.order(60_000, 0, 60_000);
    await cluster.pass(100);
    expect([cluster.underWay, cluster.held]).toEqual([1, 1]);
    node.connected = false;
    // Nothing is cut off as long as others know that it may live.
    await cluster.pass(LEASE_MS - 700);
    expect([cluster.underWay, cluster.held, node.couriers.held]).toEqual([1, 1, 1]);
    await cluster.pass(500);
    expect([cluster.underWay, cluster.held, node.couriers.held]).toEqual([0, 1, 0]);
    expect(await cluster.passUntil(cut)).toBe("canceled");
    expect(node.faults).toBe(1);
    await cluster.pass(LEASE_MS);
    expect(cluster.held).toBe(0);
    const after = node.order(10);
    await cluster.pass(300);
    node.connected = true;
    expect(await cluster.passUntil(after)).toBe("done");
    expect(node.calls).toBe(2);
  });

  test("a step that has its permit makes no call once others may use the courier", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 2, seed: "late" });
    const node = cluster.node(0);
    const late = node.order(10, LEASE_MS, 60_000);
    await cluster.pass(100);
    expect(node.capacity.inUse).toBe(1);
    node.connected = false;
    expect(await cluster.passUntil(late)).toBe("canceled");
    expect(node.calls).toBe(0);
  });

  test("whose life others have ended cuts its calls off, and has couriers again in its next life", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 2, seed: "ended" });
    const node = cluster.node(0);
    const cut = node.order(60_000, 0, 60_000);
    await cluster.pass(100);
    expect(cluster.underWay).toBe(1);
    cluster.lives.delete(node.life);
    await cluster.pass(600);
    expect(cluster.underWay).toBe(0);
    expect(await cut).toBe("canceled");
    expect(await cluster.passUntil(node.order(10))).toBe("done");
  });

  test("asks no more when it has stopped", async () => {
    const cluster = new ShareCluster({ nodes: 1, total: 2, seed: "stop" });
    const node = cluster.node(0);
    void node.order(1_000);
    await cluster.pass(100);
    node.couriers.stop();
    const { requests } = node;
    expect(requests).toBeGreaterThan(0);
    void node.order(1_000);
    void node.order(1_000);
    await cluster.pass(1_000);
    expect(node.requests).toBe(requests);
  });
});

describe("three nodes at full load", () => {
  test("share; when one has ended the others use its couriers within half a second; newcomers get their part", async () => {
    const cluster = new ShareCluster({ nodes: 3, total: 5, seed: "kill" });
    for (const node of cluster.nodes) node.load(8, [80, 120]);
    await cluster.pass(3_000);
    for (const node of cluster.nodes) expect(node.placed).toBeGreaterThan(10);
    cluster.node(1).kill();
    expect(cluster.underWay).toBeLessThan(5);
    // A tenth of a second until others know.
    expect(await cluster.passUntilFull(2_000)).toBeLessThanOrEqual(600);
    const added = cluster.add();
    added.load(8, [80, 120]);
    await cluster.pass(2_000);
    expect(added.placed).toBeGreaterThan(5);
    expect(cluster.mostUnderWay).toBe(5);
    expect(cluster.cutOff).toBe(0);
  });

  test("one courier for three goes round: nobody waits until the deadline for the others' sake", async () => {
    const cluster = new ShareCluster({ nodes: 3, total: 1, seed: "one" });
    for (const node of cluster.nodes) node.load(3, [40, 60]);
    await cluster.pass(10_000);
    for (const node of cluster.nodes) expect(node.placed).toBeGreaterThan(20);
    expect(cluster.mostUnderWay).toBe(1);
  });

  test("couriers are where they are used: a node with few orders keeps none from one with many", async () => {
    const cluster = new ShareCluster({ nodes: 2, total: 5, seed: "uneven" });
    cluster.node(0).load(1, [20, 20]);
    cluster.node(1).load(8, [80, 120]);
    await cluster.pass(2_000);
    for (let look = 0; look < 20; look++) {
      await cluster.pass(50);
      expect(cluster.lives.get(cluster.node(1).life)?.held).toBe(4);
    }
  });

  test("and a node with an order now and then keeps a courier for the next one", async () => {
    const cluster = new ShareCluster({ nodes: 2, total: 5, seed: "now and then" });
    const [few, many] = [cluster.node(0), cluster.node(1)];
    many.load(20, [50, 100]);
    await cluster.pass(1_000);
    const tookMs: number[] = [];
    for (let order = 0; order < 20; order++) {
      const startMs = Date.now();
      expect(await cluster.passUntil(few.order(40))).toBe("done");
      tookMs.push(Date.now() - startMs);
      await cluster.pass(200);
    }
    // The first one waits until the other node gives it back.
    expect(tookMs.filter((ms) => ms > 50)).toHaveLength(1);
    expect(cluster.lives.get(many.life)?.held).toBe(4);
  });
});

const SEEDS = Number(process.env.SHARES_SEEDS ?? 15);

test.each(Array.from({ length: SEEDS }, (_, index) => `storm ${index}`))(
  "never more under way than couriers, whatever dies, stalls or is lost: seed %s",
  { timeout: 120_000 },
  async (seed) => {
    const cluster = new ShareCluster({ nodes: 3, total: Number(seed.at(-1)) % 3 === 0 ? 1 : 5, seed });
    for (const node of cluster.nodes) node.load(6, [20, 400]);
    const { random } = cluster;
    cluster.pauses = 0.25;
    for (let round = 0; round < 40; round++) {
      cluster.loses = random() < 0.4 ? random() * 0.8 : 0;
      cluster.stalls = random() < 0.4 ? random() * 0.5 : 0;
      for (const node of cluster.nodes) if (random() < 0.3) node.connected = random() > 0.4;
      if (random() < 0.25) {
        cluster.nodes[Math.floor(random() * cluster.nodes.length)]?.kill();
        cluster.add().load(6, [20, 400]);
      }
      await cluster.pass(400);
    }
    Object.assign(cluster, { loses: 0, stalls: 0, pauses: 0 });
    for (const node of cluster.nodes) node.connected = true;
    // What was lost on its way may still arrive, for as long as a request can stall.
    await cluster.pass(6_000);
    expect(await cluster.passUntilFull(1_000)).toBeLessThan(1_000);
    expect(cluster.mostUnderWay).toBe(cluster.total);
    expect(cluster.cutOff).toBeGreaterThan(0);
  },
);
