import { runBench } from "../run-bench.ts";
import { atLeast, atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { Cluster } from "./cluster.ts";

const USAGE = `Starts an engine of three nodes and three nodes of the service on 127.0.0.1, places orders through all of them, kills a service
node and then an engine node with SIGKILL, and shows that every order ended and that the ledger of the providers balances.
Takes about a minute. Ctrl-C ends it and leaves nothing behind.

usage: npm run demo:cluster
`;

const SEED = "demo";
const ORDERS = 300;
const COURIERS = 20;

runBench(async () => {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(USAGE);
    return [];
  }
  const startedAtMs = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(5);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  await using cluster = await Cluster.start({
    engineNodes: 3,
    serviceNodes: 3,
    seed: SEED,
    rates: { slow: 0.5, slowMs: [20, 120], payment: { refuse: 0.03 }, vendor: { refuse: 0.03 } },
    settings: { COURIER_CAPACITY: String(COURIERS), ORDER_TIMEOUT_MS: "10000", LOG_LEVEL: "error" },
    onPhase: say,
  });
  for (const node of cluster.nodes) say(`${node.name} takes orders at ${node.orderUrl}, its live page is ${node.adminUrl}/`);
  say(`placing ${ORDERS} orders through all three; one node of the service and one of the engine will be killed`);
  const result = await campaign(cluster, {
    seed: SEED,
    orders: ORDERS,
    clients: 12,
    serviceKills: 1,
    engineKills: 1,
    couriers: COURIERS,
    onProgress: say,
  });
  const counts = await cluster.providers?.counts();
  say(`${result.ok} orders placed, ${result.answered.length - result.ok} failed and were compensated`);
  say(`at the providers: ${JSON.stringify(counts)}`);
  for (const { orderId, attempt, reason } of result.imbalances.slice(0, 10)) say(`imbalance: ${orderId} attempt ${attempt}: ${reason}`);
  return [
    atLeast("orders that ended", result.answered.length, ORDERS),
    atMost("imbalances", result.imbalances.length, 0),
    atMost("answers that a repeat got otherwise at some node", result.changed.length, 0),
    atMost("courier assignments under way at one time", result.mostCouriers, COURIERS),
  ];
});
