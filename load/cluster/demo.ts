import { runBench } from "../run-bench.ts";
import { atLeast, atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { OutsideDatabase } from "./outside-database.ts";
import type { Planned } from "./plan.ts";
import { reportOn } from "./report.ts";

const USAGE = `Starts a PostgreSQL and three nodes of the service on 127.0.0.1, places orders through a balancer before them, kills a node, freezes another and
wakes it, kills the database and starts it again, and shows that every order ended and that the ledger of the providers balances. Takes less
than a minute. Ctrl-C ends it and leaves nothing behind.

usage: npm run demo:cluster

The database comes from npm. DATABASE_URL=postgres://USER:PASSWORD@HOST/DATABASE takes that server instead, where USER must be allowed to create
a database; it is dropped in the end, and the server is not killed.

Exit code 0: all is well; 1: something was wrong; 130: stopped by Ctrl-C.
`;

const SEED = 1;
const LEASE_MS = 1_500;
const PLAN: readonly Planned[] = [
  { kind: "kill", node: 0, downMs: 1_000, after: 100 },
  { kind: "freeze", node: 1, ms: 2 * LEASE_MS, after: 300 },
];
const OUTAGE: Planned = { kind: "kill database", downMs: 1_000, after: 500 };
const ORDERS = 800;
// Of a busy machine, on which this is not a measurement.
const PATIENCE_MS = 30_000;

runBench(async () => {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(USAGE);
    return [];
  }
  const startedMs = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(5);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  const { DATABASE_URL: url } = process.env;
  const plan = url === undefined ? [...PLAN, OUTAGE] : PLAN;
  const result = await campaign({
    seed: SEED,
    plan,
    nodes: 3,
    orders: ORDERS,
    clients: 24,
    leaseMs: LEASE_MS,
    couriersWithinMs: PATIENCE_MS,
    endedWithinMs: PATIENCE_MS,
    balanced: true,
    ...(url !== undefined && { openDatabase: (directory: string) => OutsideDatabase.create(url, directory) }),
    say,
  });
  process.stdout.write(`\n${reportOn(result)}`);
  result.remove();
  const blows = [...result.recovery.counts.values()].reduce((sum, count) => sum + count, 0);
  return [
    atLeast("orders", result.orders, ORDERS),
    atLeast("kills and freezes", blows, plan.length),
    atMost("violations", result.violations.length, 0),
    atMost("couriers in use at one time", result.couriers.most, result.couriers.count),
  ];
});
