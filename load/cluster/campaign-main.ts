import { parseArgs } from "node:util";
import { runBench } from "../run-bench.ts";
import { atLeast, atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { Cluster } from "./cluster.ts";

const USAGE = `Places orders through all nodes of a cluster while nodes of the service and of the engine are killed with SIGKILL, one at a
time, and started again. Then every order must have ended, the ledger of the providers must balance, and every answer must be what a
repeat gets from every node.

usage: npm run campaign:cluster -- [options]

  --orders N         default: 2000
  --seed TEXT        default: the time
  --nodes N          of the service (default: 3)
  --engine-nodes N   1 or 3 (default: 3)
  --kills N          of service nodes (default: 10)
  --engine-kills N   of engine nodes (default: 3)
  --couriers N       of the whole cluster (default: 5)
  --clients N        orders under way at one time (default: 16)
  --timeout-ms N     deadline of an order (default: 10000)
`;

runBench(async () => {
  const { values } = parseArgs({
    options: {
      orders: { type: "string", default: "2000" },
      seed: { type: "string", default: String(Date.now()) },
      nodes: { type: "string", default: "3" },
      "engine-nodes": { type: "string", default: "3" },
      kills: { type: "string", default: "10" },
      "engine-kills": { type: "string", default: "3" },
      couriers: { type: "string", default: "5" },
      clients: { type: "string", default: "16" },
      "timeout-ms": { type: "string", default: "10000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return [];
  }
  const { seed } = values;
  const couriers = Number(values.couriers);
  const say = (text: string): void => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
  say(`seed ${seed}`);
  await using cluster = await Cluster.start({
    engineNodes: Number(values["engine-nodes"]),
    serviceNodes: Number(values.nodes),
    seed,
    rates: { slow: 0.5, slowMs: [5, 60], vendor: { refuse: 0.05 }, payment: { refuse: 0.02 }, hangUpAfter: 0.01, failAfter: 0.01 },
    settings: { COURIER_CAPACITY: String(couriers), ORDER_TIMEOUT_MS: values["timeout-ms"], LOG_LEVEL: "error" },
    onPhase: say,
  });
  const orders = Number(values.orders);
  const kills = Number(values.kills);
  const engineKills = Number(values["engine-kills"]);
  const clients = Number(values.clients);
  const result = await campaign(cluster, { seed, orders, clients, serviceKills: kills, engineKills, couriers, onProgress: say });
  const slowest = Math.max(...result.answered.map(({ ms }) => ms));
  say(
    `${result.ok} placed, ${result.answered.length - result.ok} failed, ${result.attempts.length} attempts, ${result.seconds.toFixed(0)} s`,
  );
  say(`asked again: ${[...result.refusals].map(([kind, count]) => `${kind} ${count}`).join(", ") || "never"}`);
  say(`slowest order, with all its repeats: ${(slowest / 1_000).toFixed(1)} s`);
  for (const { orderId, attempt, reason } of result.imbalances.slice(0, 20)) say(`IMBALANCE ${orderId} attempt ${attempt}: ${reason}`);
  for (const text of result.changed.slice(0, 20)) say(`CHANGED ${text}`);
  return [
    atLeast("orders that ended", result.answered.length, orders, ""),
    atLeast("kills of service nodes", result.serviceKills, kills, ""),
    atLeast("kills of engine nodes", result.engineKills, engineKills, ""),
    atMost("imbalances", result.imbalances.length, 0, ""),
    atMost("answers that a repeat got otherwise", result.changed.length, 0, ""),
    atMost("courier assignments under way", result.mostCouriers, couriers, ""),
  ];
});
