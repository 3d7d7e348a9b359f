import { WITHOUT_DEBIAN_POSTGRES } from "../../test/support/postgres/binaries.ts";
import { campaignTerminal } from "../campaign-terminal.ts";
import { readOptions, seedOf, UsageError, wholeNumber } from "../options.ts";
import { runBench } from "../run-bench.ts";
import { atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { planOf } from "./plan.ts";
import { reportOn } from "./report.ts";

const USAGE = `Strikes a cluster of nodes on PostgreSQL while clients place orders at all of them, and keeps the books that it cannot forge. Nodes are killed,
frozen and woken, and cut off from the database, which is killed too and replaced by its standby. Whatever ran then must have ended within the
lease and 3 s, and all couriers must be in use again 2 s after a kill. In the end every placed order must have been paid, accepted and assigned
exactly once, every other one must have left nothing behind, every answer must be the same at every node, every event must have come, in its
order, and there must never have been more courier calls under way than there are couriers.

usage: npm run campaign:nodes -- [--seed N] [--orders N] [...]

  --seed N            the same blows in the same order as another run with that seed (default: a new one)
  --orders N          at least so many (default: 20000)
  --nodes N           default: 3
  --kills N           of nodes, by SIGKILL (default: 20)
  --freezes N         of nodes, by SIGSTOP, for 1 to 4 leases (default: 10)
  --database-kills N  default: 5
  --cuts N            of one node from the database, in each direction (default: 2)
  --failovers N       1 or 0: to a synchronous standby, which needs Debian's PostgreSQL (default: 1, 0 where there is none)
  --lease-ms N        default: 1500
  --clients N         requests at one time (default: 32)
  --keep              leaves the logs where they are

It tells on stderr what it does. Ctrl-C ends it as if all orders had been placed, a second one at once. Exit code 0: all is well; 1: something
is wrong, then with the history of the order; 2: wrong usage.
`;

const COURIERS_WITHIN_MS = 2_000;
// Beside the lease.
const ENDED_WITHIN_MS = 3_000;

runBench(async () => {
  const { help, keep, ...texts } = readOptions({
    seed: { type: "string" },
    orders: { type: "string", default: "20000" },
    nodes: { type: "string", default: "3" },
    kills: { type: "string", default: "20" },
    freezes: { type: "string", default: "10" },
    "database-kills": { type: "string", default: "5" },
    cuts: { type: "string", default: "2" },
    failovers: { type: "string", default: WITHOUT_DEBIAN_POSTGRES === undefined ? "1" : "0" },
    "lease-ms": { type: "string", default: "1500" },
    clients: { type: "string", default: "32" },
    keep: { type: "boolean", default: false },
  });
  if (help) {
    process.stdout.write(USAGE);
    return [];
  }
  const seed = seedOf(texts.seed);
  const leaseMs = wholeNumber("lease-ms", texts["lease-ms"], 60_000, 1_000);
  const orders = wholeNumber("orders", texts.orders, 10_000_000);
  const nodes = wholeNumber("nodes", texts.nodes, 10, 2);
  const failovers = wholeNumber("failovers", texts.failovers, 1, 0);
  if (failovers > 0 && WITHOUT_DEBIAN_POSTGRES !== undefined) throw new UsageError(`--failovers 1: ${WITHOUT_DEBIAN_POSTGRES}`);
  const plan = planOf(seed, {
    kills: wholeNumber("kills", texts.kills, 10_000, 0),
    freezes: wholeNumber("freezes", texts.freezes, 10_000, 0),
    databaseKills: wholeNumber("database-kills", texts["database-kills"], 10_000, 0),
    cuts: wholeNumber("cuts", texts.cuts, 10_000, 0),
    failovers,
    orders,
    nodes,
    leaseMs,
  });
  process.stdout.write(`seed ${seed}\n`);
  if (WITHOUT_DEBIAN_POSTGRES !== undefined) process.stdout.write(`no failover: ${WITHOUT_DEBIAN_POSTGRES}\n`);
  const terminal = campaignTerminal();
  const result = await campaign({
    seed,
    plan,
    nodes,
    orders,
    clients: wholeNumber("clients", texts.clients, 1_000, 16),
    leaseMs,
    couriersWithinMs: COURIERS_WITHIN_MS,
    endedWithinMs: leaseMs + ENDED_WITHIN_MS,
    ...terminal,
  });
  process.stdout.write(reportOn(result));
  const isWell = result.violations.length === 0;
  if (isWell && !keep) result.remove();
  else process.stdout.write(`the logs are in ${result.directory}\n`);
  return [
    atMost("violations", result.violations.length, 0),
    atMost("couriers in use at one time", result.couriers.most, result.couriers.count),
  ];
});
