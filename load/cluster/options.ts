import { parseArgs } from "node:util";
import { WITHOUT_DEBIAN_POSTGRES } from "../../test/support/postgres/binaries.ts";
import { UsageError } from "../options.ts";
import type { Blows } from "./plan.ts";

export const USAGE = `Strikes a cluster of nodes on PostgreSQL while clients place orders at all of them, and keeps the books that it cannot forge. Nodes are killed,
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

export interface CommandLine extends Blows {
  readonly seed: number;
  readonly orders: number;
  readonly nodes: number;
  readonly leaseMs: number;
  readonly clients: number;
  readonly keep: boolean;
}

const MOST_SEED = 2 ** 31;
const NUMBERS = {
  seed: [0, MOST_SEED, undefined],
  orders: [1, 10_000_000, 20_000],
  nodes: [2, 10, 3],
  kills: [0, 10_000, 20],
  freezes: [0, 10_000, 10],
  "database-kills": [0, 10_000, 5],
  cuts: [0, 10_000, 2],
  failovers: [0, 1, WITHOUT_DEBIAN_POSTGRES === undefined ? 1 : 0],
  "lease-ms": [1_000, 60_000, 1_500],
  clients: [16, 1_000, 32],
} as const;

/** Undefined: the usage is asked for. Throws `UsageError`. */
export function readCommandLine(args: readonly string[]): CommandLine | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const number = (name: keyof typeof NUMBERS): number => {
    const [least, most, byDefault = Math.trunc(Math.random() * MOST_SEED)] = NUMBERS[name];
    const text = values[name];
    if (text === undefined) return byDefault;
    const value = typeof text === "string" && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) throw new UsageError(`--${name} ${text}: must be a whole number from ${least} to ${most}`);
    return value;
  };
  if (number("failovers") > 0 && WITHOUT_DEBIAN_POSTGRES !== undefined) throw new UsageError(`--failovers 1: ${WITHOUT_DEBIAN_POSTGRES}`);
  return {
    seed: number("seed"),
    orders: number("orders"),
    nodes: number("nodes"),
    kills: number("kills"),
    freezes: number("freezes"),
    databaseKills: number("database-kills"),
    cuts: number("cuts"),
    failovers: number("failovers"),
    leaseMs: number("lease-ms"),
    clients: number("clients"),
    keep: values.keep === true,
  };
}

function parsed(args: readonly string[]): Record<string, string | boolean | undefined> {
  const numbers = Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, { type: "string" as const }]));
  const flags = { keep: { type: "boolean" as const }, help: { type: "boolean" as const, short: "h" } };
  try {
    return parseArgs({ args: [...args], options: { ...numbers, ...flags } }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
