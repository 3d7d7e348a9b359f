import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type PostgresServer, startPostgres } from "../../test/support/postgres/server.ts";
import { closedLoop, type Load, NO_DELAYS, type Server, startService, underLoad, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { cpuSecondsOfAll } from "../lab/proc.ts";
import { atLeast, atMost } from "../target.ts";

const [FILE, POSTGRES] = ["file", "PostgreSQL"];
const KINDS: Readonly<Record<string, Partial<Load>>> = {
  placed: {},
  "with a key": { keyed: true },
  "failed, two compensations": { order: { ...NO_DELAYS, fail_step: "courier" }, answerHas: '"kind":"no_courier"' },
  "sent five times": { repeats: 5 },
};
// Nothing ends early where the machine is busy.
const SETTINGS = { ORDER_TIMEOUT_MS: "20000", COMPENSATION_TIMEOUT_MS: "20000" };
// As PostgreSQL comes; servers of tests are smaller.
const DATABASE = { shared_buffers: "128MB", max_wal_size: "1GB" };

/** A round of each kind of order. */
async function round(server: Server, load: Load, databasePid: number | undefined): Promise<Round> {
  const database = () => (databasePid === undefined ? 0 : cpuSecondsOfAll(databasePid));
  const all: Record<string, readonly [number, string]> = {};
  for (const [kind, of] of Object.entries(KINDS)) {
    const before = database();
    const { figures, driven } = await closedLoop(server, { ...load, ...of });
    const ofDatabase = ((database() - before) / driven.answers) * 1e6;
    const [ofNode = 0] = figures["CPU an order"] ?? [];
    all[`${kind}: orders/s`] = [driven.perSecond, "orders/s"];
    all[`${kind}: p99`] = [driven.latencyMs.p99, "ms"];
    all[`${kind}: CPU`] = [ofNode + ofDatabase, "us"];
    all[`${kind}: of that the database's`] = [ofDatabase, "us"];
  }
  return { figures: all };
}

/** The first process of a server. */
function pidOf({ dataDirectory }: PostgresServer): number {
  return Number(readFileSync(join(dataDirectory, "postmaster.pid"), "utf8").split("\n", 1)[0]);
}

function variant(
  name: string,
  load: WarmLoad,
  store: (scope: Scope) => Promise<{ readonly journal: string; readonly pid?: number }>,
): Variant {
  const start = async (scope: Scope) => {
    const { journal, pid } = await store(scope);
    return { ...(await startService(scope, { ...SETTINGS, JOURNAL: journal })), databasePid: pid };
  };
  return { ...underLoad(name, load, start, (server) => round(server, load, server.databasePid)), ofTree: true };
}

export const experiment = defineExperiment({
  question: "What does one node on PostgreSQL cost, beside one with its journal in a file?",
  defaults: { warmup: 5, rounds: 5, seconds: 3, connections: 64 },
  lab: { warmup: 3, rounds: 2, seconds: 2 },
  variants: (load) => [
    variant(FILE, load, async ({ directory }) => ({ journal: join(directory, "orders.db") })),
    variant(POSTGRES, load, async ({ stack }) => {
      const server = stack.use(await startPostgres({ fsync: true, settings: DATABASE }));
      return { journal: server.url, pid: pidOf(server) };
    }),
  ],
  targets: (seen) =>
    (
      [
        ["placed", 1.6],
        ["with a key", 1.8],
      ] as const
    ).flatMap(([kind, limit]) => [
      atLeast(`${kind}: orders/s over those with a file`, seen.ratio(`${kind}: orders/s`, POSTGRES, FILE), 0.6),
      atMost(`${kind}: CPU an order, node and database, over that with a file`, seen.ratio(`${kind}: CPU`, POSTGRES, FILE), limit),
    ]),
});
