import { setTimeout as pause } from "node:timers/promises";
import { readNumbers } from "../long-run/numbers.ts";
import { runBench } from "../run-bench.ts";
import { atLeast, atMost, type Target } from "../target.ts";
import { Cluster } from "./cluster.ts";
import { OrderClient } from "./order-client.ts";

const USAGE = `Keeps three nodes of the service fully loaded, kills one after the other, and looks at the courier provider: never more
assignments under way than there are couriers, and all of them in use again within 2 s of a kill.

usage: npm run campaign:couriers -- [options]

  --couriers N  default: 5
  --kills N     default: 6
`;

const CLIENTS = 24;
const LOOK_EVERY_MS = 10;
const ORDER_TIMEOUT_MS = 120_000;
const CALM_MS = 3_000;
const WITHIN_MS = 2_000;

runBench(async (): Promise<Target[]> => {
  const options = readNumbers(USAGE, { couriers: 5, kills: 6 });
  if (options === undefined) return [];
  const { couriers, kills } = options;
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  await using cluster = await Cluster.start({
    engineNodes: 1,
    serviceNodes: 3,
    rates: { courier: { slow: 1, slowMs: [80, 150] } },
    settings: { COURIER_CAPACITY: String(couriers), ORDER_TIMEOUT_MS: "10000", LOG_LEVEL: "error" },
    onPhase: say,
  });
  const providers = cluster.providers;
  if (providers === undefined) throw new Error("no providers");
  using client = new OrderClient();
  let stopped = false;
  let placed = 0;
  const order = async (number: number): Promise<void> => {
    for (let round = 0; !stopped; round++) {
      const urlFor = (asked: number): string => cluster.node(number + asked).orderUrl;
      const { status } = await client.place(`c-${number}-${round}`, 1, urlFor, ORDER_TIMEOUT_MS);
      if (status === 200) placed++;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, number) => order(number)));
  const full = async (): Promise<number> => {
    const begin = performance.now();
    while ((await providers.underWay()).courier.now < couriers) await pause(LOOK_EVERY_MS);
    return performance.now() - begin;
  };
  await full();
  const took: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    await pause(CALM_MS);
    const node = cluster.node(kill);
    await node.kill();
    // The dead node may have held only unused couriers, which have to come back as well.
    await pause(LOOK_EVERY_MS);
    took.push(await full());
    say(`killed ${node.name}: all ${couriers} in use after ${took.at(-1)?.toFixed(0)} ms`);
    await node.start();
    await cluster.ready([node]);
  }
  await pause(CALM_MS);
  stopped = true;
  await clients;
  return [
    atMost("assignments under way", (await providers.underWay()).courier.most, couriers),
    atMost("all in use after a kill, slowest", Math.max(...took), WITHIN_MS, " ms"),
    atLeast("orders placed", placed, 1),
  ];
});
