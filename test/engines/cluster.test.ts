import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Balancer } from "../../load/cluster/balancer.ts";
import { campaign } from "../../load/cluster/campaign.ts";
import { Cluster } from "../../load/cluster/cluster.ts";
import { endingsOf } from "../../load/cluster/endings.ts";
import { OrderClient } from "../../load/cluster/order-client.ts";
import type { ServiceNode } from "../../load/cluster/service-node.ts";
import { balance } from "../../load/stand-in/balance.ts";
import type { SpawnedStandIn } from "../../load/stand-in/spawn.ts";
import { eventually } from "../support/eventually.ts";

const SEED = process.env.SEED ?? String(Date.now());
const COURIERS = 5;
const FOR_EVER_MS = 100_000;
const UPGRADE = fileURLToPath(new URL("../../src/engines/restate/deployment/upgrade.ts", import.meta.url));
const run = promisify(execFile);

let cluster: Cluster;
let providers: SpawnedStandIn;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cluster-keys-"));
  cluster = await Cluster.start({
    engineNodes: 1,
    serviceNodes: 3,
    partitions: 2,
    seed: SEED,
    settings: {
      ...versionSettings("1"),
      COURIER_CAPACITY: String(COURIERS),
      ORDER_TIMEOUT_MS: "30000",
      RESTATE_COURIER_LEASE_MS: "3000",
      THREADS: "1",
      CPU_THREADS: "1",
    },
  });
  providers = cluster.providers as SpawnedStandIn;
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** What makes the providers know which version calls. */
function versionSettings(version: string): Record<string, string> {
  const file = join(directory, `version-${version}`);
  writeFileSync(file, `version-${version}`);
  return { PAYMENT_KEY_FILE: file, VENDOR_KEY_FILE: file, COURIER_KEY_FILE: file };
}

const assignments = async () => (await providers.underWay()).courier;

/** Places orders through these nodes without a pause until it is stopped. */
class Load {
  readonly client = new OrderClient();
  readonly placed: string[] = [];
  readonly failed: string[] = [];
  readonly #done: Promise<unknown>;
  readonly #name: string;
  #nodes: readonly ServiceNode[];
  #stopped = false;
  #next = 0;

  constructor(name: string, nodes: readonly ServiceNode[], clients: number) {
    this.#name = name;
    this.#nodes = nodes;
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#order()));
  }

  use(nodes: readonly ServiceNode[]): void {
    this.#nodes = nodes;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    this.client[Symbol.dispose]();
  }

  async #order(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#next++;
      const orderId = `${this.#name}-${number}`;
      const urlFor = (asked: number) => this.#nodes[(number + asked) % this.#nodes.length]?.orderUrl ?? "";
      const { status, text } = await this.client.place(orderId, 100, urlFor, FOR_EVER_MS);
      if (status === 200) this.placed.push(orderId);
      else this.failed.push(`${orderId}: ${status} ${text}`);
    }
  }
}

test("never more courier assignments than couriers over three nodes at full load, and all in use again after a node's death", async () => {
  await providers.setFaultRates({ courier: { slow: 1, slowMs: [100, 200] } });
  const load = new Load("couriers", cluster.nodes, 18);
  const full = () => eventually("all couriers in use", assignments, ({ now }) => now === COURIERS);
  await full();
  const victim = cluster.node(1);
  await victim.kill();
  const killedAtMs = performance.now();
  await full();
  // The lease is longer here than by default, for busy machines. Within 2 s with the default on a quiet one: npm run campaign:couriers measures that.
  console.info(`all couriers in use ${Math.round(performance.now() - killedAtMs)} ms after the kill`);
  await victim.start();
  await cluster.ready();
  await full();
  await load.stop();
  await providers.setFaultRates({});
  expect((await assignments()).most).toBe(COURIERS);
  expect(load.placed.length).toBeGreaterThan(20);
});

test(`every order ends, the ledger balances and answers stay, though nodes and the engine are killed (SEED=${SEED})`, async () => {
  await providers.setFaultRates({ slow: 0.5, slowMs: [5, 60], vendor: { refuse: 0.1 }, hangUpAfter: 0.02 });
  const result = await campaign(cluster, {
    seed: SEED,
    orders: 60,
    clients: 8,
    serviceKills: 2,
    engineKills: 1,
    couriers: COURIERS,
  });
  await providers.setFaultRates({});
  expect(result.answered).toHaveLength(60);
  expect(result.serviceKills + result.engineKills).toBe(3);
  expect(result.ok).toBeGreaterThan(20);
  // The ledger has the orders of the test before as well: theirs are placed.
  expect(result.imbalances.filter(({ orderId }) => orderId.startsWith(SEED))).toEqual([]);
  expect(result.changed).toEqual([]);
  expect(result.mostCouriers).toBeLessThanOrEqual(COURIERS);
});

test("a rolling upgrade under load: no request fails, no order is lost, each is run by one version, and by the new one afterwards", async () => {
  const old = [...cluster.nodes];
  const load = new Load("upgrade", old, 6);
  await eventually(
    "orders of the old version",
    () => load.placed.length,
    (count) => count > 10,
  );

  const added = [await cluster.add(versionSettings("2")), await cluster.add(versionSettings("2"))];
  await using balancer = await Balancer.start(added.map(({ endpointUrl }) => endpointUrl));
  await cluster.ready(added);
  const args = ["--url", balancer.url, "--admin", cluster.engine.node(0).adminUrl];
  const { stdout } = await run(process.execPath, [UPGRADE, ...args]);
  expect(stdout).toContain("nothing is under way, removed");
  const beforeStop = load.placed.length;
  await eventually(
    "orders of the new version",
    () => load.placed.length,
    (count) => count > beforeStop + 10,
  );
  // What a balancer in front does when `readyz` says that a node drains.
  load.use(added);
  const inFlight = load.placed.length + 6;
  await eventually(
    "the last answers of the old nodes",
    () => load.placed.length,
    (count) => count > inFlight,
  );
  expect(await Promise.all(old.map((node) => node.stop()))).toEqual(old.map(() => "code 0"));
  const afterStop = load.placed.length;
  await eventually(
    "orders without the old nodes",
    () => load.placed.length,
    (count) => count > afterStop + 10,
  );
  await load.stop();

  expect(load.failed).toEqual([]);
  // A node on a busy machine may say for a moment that it is overloaded; no connection broke.
  expect([...load.client.refusals.keys()].filter((kind) => kind !== "overloaded")).toEqual([]);
  const newest = added[0] as ServiceNode;
  const endings = await endingsOf(newest.orderUrl, load.placed);
  const snapshot = await providers.quiet();
  const mine = { ...snapshot, entries: snapshot.entries.filter(({ orderId }) => orderId.startsWith("upgrade-")) };
  expect(balance(mine, endings)).toEqual([]);
  const versions = new Map<string, Set<string>>();
  for (const { orderId, callers = [] } of mine.entries) {
    versions.set(orderId, new Set([...(versions.get(orderId) ?? []), ...callers]));
  }
  expect([...versions].filter(([, of]) => of.size !== 1)).toEqual([]);
  const ofLast = load.placed.slice(-5).map((orderId) => [...(versions.get(orderId) ?? [])]);
  expect(ofLast).toEqual(ofLast.map(() => ["Bearer version-2"]));
  expect([...(versions.get(load.placed[0] ?? "") ?? [])]).toEqual(["Bearer version-1"]);
});
