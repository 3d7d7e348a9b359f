import { setTimeout as pause } from "node:timers/promises";
import { type AttemptEnding, balance, type Imbalance } from "../stand-in/balance.ts";
import { randomFrom } from "../stand-in/random.ts";
import type { Cluster } from "./cluster.ts";
import { endingsOf } from "./endings.ts";
import { type AnsweredOrder, OrderClient } from "./order-client.ts";

export interface CampaignOptions {
  readonly seed: string;
  readonly orders: number;
  /** Orders under way at one time. */
  readonly clients: number;
  /** Of service nodes and of engine nodes, one at a time, spread over the orders; each is started again. */
  readonly serviceKills: number;
  readonly engineKills: number;
  /** Couriers of the cluster. */
  readonly couriers: number;
  readonly onProgress?: (text: string) => void;
}

export interface CampaignResult {
  readonly answered: readonly AnsweredOrder[];
  readonly ok: number;
  readonly serviceKills: number;
  readonly engineKills: number;
  readonly imbalances: readonly Imbalance[];
  /** Orders whose repeat was answered otherwise by some node. */
  readonly changed: readonly string[];
  readonly mostCouriers: number;
  readonly attempts: readonly AttemptEnding[];
  readonly refusals: ReadonlyMap<string, number>;
  readonly seconds: number;
}

// An engine that has lost a node elects new leaders within seconds, on a busy machine later.
const ORDER_TIMEOUT_MS = 180_000;
const REPEATERS = 8;
// Between the kill and the new start: as long as a supervisor takes.
const DOWN_MS = [200, 1_500] as const;

/**
 * Places orders through all nodes while nodes are killed with SIGKILL, waits until everything has ended, and compares: the ledger of the
 * providers with what became of the orders, and every answer with what a repeat gets from every node.
 */
export async function campaign(cluster: Cluster, options: CampaignOptions): Promise<CampaignResult> {
  const { seed, orders, clients, serviceKills, engineKills } = options;
  const say = (text: string): void => options.onProgress?.(text);
  const random = randomFrom(seed);
  const startedAtMs = performance.now();
  const answered: AnsweredOrder[] = [];
  const failures: unknown[] = [];
  using client = new OrderClient();
  const kills = planOf(options, random);
  let next = 0;
  let killing: Promise<void> = Promise.resolve();
  const killed = { service: 0, engine: 0 };

  const runClient = async (): Promise<void> => {
    while (next < orders && failures.length === 0) {
      const number = next++;
      while (kills[0] !== undefined && kills[0].after <= number) {
        const kill = kills.shift();
        killing = killing.then(() => killOne(kill?.what ?? "service")).catch((error: unknown) => void failures.push(error));
      }
      const first = Math.floor(random() * cluster.nodes.length);
      const urlFor = (asked: number): string => cluster.node(first + asked).orderUrl;
      answered.push(await client.place(`${seed}-${number}`, 100 + number, urlFor, ORDER_TIMEOUT_MS));
      if (answered.length % 100 === 0) say(`${answered.length} of ${orders} orders ended`);
    }
  };

  const killOne = async (what: "service" | "engine"): Promise<void> => {
    const downMs = DOWN_MS[0] + random() * (DOWN_MS[1] - DOWN_MS[0]);
    if (what === "service") {
      const node = cluster.node(Math.floor(random() * cluster.nodes.length));
      await node.kill();
      say(`killed ${node.name} of the service (${++killed.service} of ${serviceKills})`);
      await pause(downMs);
      await node.start();
      await cluster.ready([node]);
    } else {
      const index = Math.floor(random() * cluster.engine.nodes.length);
      await cluster.engine.node(index).kill();
      say(`killed ${cluster.engine.node(index).name} (${++killed.engine} of ${engineKills})`);
      await pause(downMs);
      await cluster.engine.restart(index);
    }
    say("it is back");
  };

  await Promise.all(Array.from({ length: clients }, () => runClient().catch((error: unknown) => void failures.push(error))));
  await killing;
  if (failures.length > 0) throw failures[0];
  say("all orders have ended; waiting until nothing is left to be compensated");
  await cluster.ready();
  const attempts = await endingsOf(
    cluster.node(0).orderUrl,
    answered.map(({ orderId }) => orderId),
  );
  const ledger = await cluster.providers?.quiet();
  const imbalances = ledger === undefined ? [] : balance(ledger, attempts);
  say("repeating every order at every node");
  const changed = await changedAnswers(cluster, answered, client);
  const mostCouriers = (await cluster.providers?.underWay())?.courier.most ?? 0;
  return {
    answered,
    ok: answered.filter(({ status }) => status === 200).length,
    serviceKills: killed.service,
    engineKills: killed.engine,
    imbalances,
    changed,
    mostCouriers,
    attempts,
    refusals: client.refusals,
    seconds: (performance.now() - startedAtMs) / 1_000,
  };
}

interface Kill {
  readonly what: "service" | "engine";
  /** The order that is placed next then. */
  readonly after: number;
}

function planOf({ orders, serviceKills, engineKills }: CampaignOptions, random: () => number): Kill[] {
  const kinds = [...new Array<"service">(serviceKills).fill("service"), ...new Array<"engine">(engineKills).fill("engine")];
  // The last part stays calm, so that each kill meets orders.
  return kinds.map((what) => ({ what, after: Math.floor(random() * orders * 0.9) })).sort((a, b) => a.after - b.after);
}

/** Asks every node for every order again. What was placed, or failed under its key, is answered by the same bytes. */
async function changedAnswers(cluster: Cluster, answered: readonly AnsweredOrder[], client: OrderClient): Promise<string[]> {
  const changed: string[] = [];
  const left = answered.flatMap((order) => cluster.nodes.map((node) => ({ order, node }))).values();
  const repeater = async (): Promise<void> => {
    for (const { order, node } of left) {
      const again = await client.place(order.orderId, order.amount, () => node.orderUrl, ORDER_TIMEOUT_MS);
      if (again.text !== order.text || again.status !== order.status) {
        changed.push(`${order.orderId} at ${node.name}: ${order.status} ${order.text}, then ${again.status} ${again.text}`);
      }
    }
  };
  await Promise.all(Array.from({ length: REPEATERS }, repeater));
  return changed;
}
