import { Admin } from "../ledger/admin.ts";
import { Clients } from "../ledger/clients.ts";
import { Closing } from "../ledger/closing.ts";
import { Operators } from "../ledger/operators.ts";
import { Providers } from "../ledger/providers.ts";
import { type CampaignResult, type CampaignSettings, type Ground, runCampaign } from "../ledger/run-campaign.ts";
import { Balancer } from "./balancer.ts";
import { BlowsInTurn, type Recovery } from "./blows.ts";
import { Couriers } from "./couriers.ts";
import { type ClusterDatabase, Database } from "./database.ts";
import { Nodes } from "./nodes.ts";
import type { Planned } from "./plan.ts";

export interface CampaignOptions extends CampaignSettings {
  readonly plan: readonly Planned[];
  readonly nodes: number;
  /** At least; clients go on until the last blow has fallen. */
  readonly orders: number;
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
}

/** `recovery`: how long it took at most; `couriers`: how many there were, and most calls for them at one time. */
export type ClusterResult = CampaignResult & {
  readonly recovery: Recovery;
  readonly couriers: { readonly count: number; readonly most: number };
};

// So that clients always wait for one.
const COURIERS = 8;
const COURIER_MS = 100;

/** Strikes a cluster on PostgreSQL while clients place orders at all its nodes, and judges it afterwards by what everybody else knows. */
export async function campaign(options: CampaignOptions): Promise<ClusterResult> {
  return await runCampaign({ name: "nodes", ...options, prepare: (ground, stack) => prepare(options, ground, stack) });
}

async function prepare(options: CampaignOptions, { directory, world, requests, settings }: Ground, stack: AsyncDisposableStack) {
  const { seed, say, plan, stop, balanced = false, openDatabase = () => databaseFor(plan) } = options;
  const couriers = new Couriers({
    count: COURIERS,
    slowMs: COURIER_MS,
    onTooMany: (inUse, calls) => world.violation(`${inUse} couriers are in use, and there are ${COURIERS}: ${calls}`),
  });
  const providers = stack.adopt(await Providers.start(world, couriers), (all) => all.close());
  const database = stack.use(await openDatabase(directory));
  const journals = await Promise.all(Array.from({ length: options.nodes }, () => database.addressForNode()));
  const nodes = new Nodes({
    directory,
    journals,
    settings: {
      ...settings,
      ...providers.settings,
      ...database.settings,
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
  // Any node knows of all; the clients go on asking each of them.
  const [{ service } = {}] = nodes.all;
  if (service === undefined) throw new Error("there are no nodes");
  const clients = new Clients(world, balancer ?? nodes, requests);
  const admin = new Admin(service, requests);
  const operators = new Operators(world, admin, providers);
  const mustEnd = () => world.violations.length > 0 || stop?.aborted === true;
  let isStruck = false;
  return {
    clients,
    closing: new Closing({ world, service, requests, admin, clients, operators, providers, say }),
    async disturb() {
      await blows.run(plan, mustEnd);
      isStruck = true;
    },
    // Clients go on while the cluster recovers from a blow.
    isOver: () => isStruck && (mustEnd() || world.orders.size >= options.orders),
    progress: () => "",
    stop: () => nodes.stop(),
    further: () => ({ recovery: blows.recovery, couriers: { count: COURIERS, most: couriers.most } }),
  };
}

async function databaseFor(plan: readonly Planned[]): Promise<ClusterDatabase> {
  return await Database.start({ standby: plan.some(({ kind }) => kind === "failover"), fsync: true });
}
