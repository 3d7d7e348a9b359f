import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Admin } from "../ledger/admin.ts";
import { Clients } from "../ledger/clients.ts";
import { Closing } from "../ledger/closing.ts";
import { Operators } from "../ledger/operators.ts";
import { Providers } from "../ledger/providers.ts";
import { Receiver, SECRET_LINE } from "../ledger/receiver.ts";
import { Requests } from "../ledger/requests.ts";
import type { Sights } from "../ledger/sights.ts";
import { type Violation, World } from "../ledger/world.ts";
import { Balancer } from "./balancer.ts";
import { BlowsInTurn, type Recovery } from "./blows.ts";
import { Couriers } from "./couriers.ts";
import { type ClusterDatabase, Database } from "./database.ts";
import { Nodes } from "./nodes.ts";
import type { Planned } from "./plan.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly plan: readonly Planned[];
  readonly nodes: number;
  /** At least; clients go on until the last blow has fallen. */
  readonly orders: number;
  /** Requests at one time. */
  readonly clients: number;
  /** `NODE_LEASE_MS`. */
  readonly leaseMs: number;
  /** Within this time after a kill all couriers must be in use again. */
  readonly couriersWithinMs: number;
  /** Within this time after a blow whatever ran then must have ended. */
  readonly endedWithinMs: number;
  /** Whether clients send to a balancer instead of to each node. */
  readonly balanced?: boolean;
  /** `directory`: for files that it needs. By default servers of our own, as the plan needs them, with the data on disk. */
  readonly openDatabase?: (directory: string) => Promise<ClusterDatabase>;
  /** Ends it as if all orders had been placed. */
  readonly stop?: AbortSignal;
  readonly say: (text: string) => void;
}

export interface CampaignResult {
  readonly seed: number;
  readonly orders: number;
  readonly requests: number;
  readonly seconds: number;
  readonly sights: Sights;
  readonly recovery: Recovery;
  readonly couriers: { readonly count: number; readonly most: number };
  readonly violations: readonly Violation[];
  /** All that was written down of an order. */
  readonly historyOf: (order: string) => string[];
  /** Where the logs are, until `remove`. */
  readonly directory: string;
  readonly remove: () => void;
}

const SAY_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 50;
// So that clients always wait for one.
const COURIERS = 8;
const COURIER_MS = 100;

/** Strikes a cluster on PostgreSQL while clients place orders at all its nodes, and judges it afterwards by what everybody else knows. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, say, plan, balanced = false, openDatabase = () => databaseFor(plan) } = options;
  const directory = mkdtempSync(join(tmpdir(), "campaign-nodes-"));
  const secretFile = join(directory, "secret");
  writeFileSync(secretFile, SECRET_LINE, { mode: 0o600 });
  await using stack = new AsyncDisposableStack();
  const world = new World(seed, directory);
  stack.defer(() => world.diary.flush());
  const couriers = new Couriers({
    count: COURIERS,
    slowMs: COURIER_MS,
    onTooMany: (inUse, calls) => world.violation(`${inUse} couriers are in use, and there are ${COURIERS}: ${calls}`),
  });
  const providers = stack.adopt(await Providers.start(world, couriers), (all) => all.close());
  const receiver = stack.adopt(await Receiver.start(world), (one) => one.close());
  const requests = stack.adopt(new Requests(), (all) => all.close());
  const database = stack.use(await openDatabase(directory));
  const journals = await Promise.all(Array.from({ length: options.nodes }, () => database.addressForNode()));
  const nodes = new Nodes({
    directory,
    journals,
    settings: {
      ...providers.settings,
      ...database.settings,
      WEBHOOK_URL: receiver.url,
      WEBHOOK_SECRET_FILE: secretFile,
      NODE_LEASE_MS: String(options.leaseMs),
      COURIER_CAPACITY: String(COURIERS),
      ORDER_TIMEOUT_MS: "3000",
      COMPENSATION_TIMEOUT_MS: "800",
      CANCEL_GRACE_MS: "200",
      SHUTDOWN_TIMEOUT_MS: "5000",
      THREADS: "1",
      CPU_THREADS: "1",
    },
    seed,
    onOwnEnd: (text) => world.violation(text),
  });
  stack.defer(() => nodes.kill());
  const blows = new BlowsInTurn({ ...options, world, nodes, database, couriers, requests });

  say(`starting ${options.nodes} nodes`);
  await nodes.start();
  const balancer = balanced ? stack.use(await Balancer.start(nodes.all.map(({ service }) => service))) : undefined;
  if (balancer !== undefined) say(`the balancer takes orders at http://127.0.0.1:${balancer.port}/order`);
  for (const { name, service } of nodes.all) say(`${name}: its live page is http://127.0.0.1:${service.ports?.admin}/`);
  const clients = new Clients(world, balancer ?? nodes, requests);
  const tell = () => say(`${world.orders.size} orders, ${clients.sent} requests`);
  const timer = setInterval(tell, SAY_EVERY_MS);
  stack.defer(() => clearInterval(timer));
  let isOver = false;
  let isStruck = false;
  const mustEnd = () => world.violations.length > 0 || options.stop?.aborted === true;
  const striking = blows.run(plan, mustEnd).then(() => {
    isStruck = true;
  });
  const working = Promise.all([clients.run(options.clients, () => isOver), striking]).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    isOver = isStruck && (mustEnd() || world.orders.size >= options.orders);
    await Promise.race([pause(LOOK_EVERY_MS), working]);
  }
  await working;
  tell();

  world.calm = true;
  if (world.violations.length === 0) {
    // Any node knows of all; the clients go on asking each of them.
    const [{ service } = {}] = nodes.all;
    if (service === undefined) throw new Error("there are no nodes");
    const admin = new Admin(service, requests);
    const operators = new Operators(world, admin, providers);
    await new Closing({ world, service, requests, admin, clients, operators, providers, say }).run();
    for (const text of await nodes.stop()) world.violation(text);
  }
  return {
    seed,
    orders: world.orders.size,
    requests: clients.sent,
    seconds: world.nowMs / 1_000,
    sights: world.sights,
    recovery: blows.recovery,
    couriers: { count: COURIERS, most: couriers.most },
    violations: world.violations,
    historyOf: (order) => world.diary.historyOf(order),
    directory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

async function databaseFor(plan: readonly Planned[]): Promise<ClusterDatabase> {
  return await Database.start({ standby: plan.some(({ kind }) => kind === "failover"), fsync: true });
}
