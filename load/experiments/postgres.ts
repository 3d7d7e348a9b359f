import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SCHEMA } from "../../src/journal/postgres/schema.ts";
import { type PostgresServer, startPostgres } from "../../test/support/postgres/server.ts";
import { closedLoop, type Driven, type Load, NO_DELAYS, type Service, startService, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Figures, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { cpuSecondsOfAll } from "../lab/proc.ts";
import { atLeast, atMost } from "../target.ts";

const FILE = "file";
const POSTGRES = "PostgreSQL";
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

/** A round of each kind of order, which all nodes get at one time. */
async function round(nodes: readonly Service[], load: Load, databasePid: number | undefined): Promise<Round> {
  const database = () => (databasePid === undefined ? 0 : cpuSecondsOfAll(databasePid));
  const connections = Math.ceil(load.connections / nodes.length);
  const all: Record<string, readonly [number, string]> = {};
  for (const [kind, of] of Object.entries(KINDS)) {
    const before = database();
    const rounds = await Promise.all(nodes.map((node) => closedLoop(node, { ...load, connections, ...of })));
    const total = (each: (round: Driven) => number): number => rounds.reduce((sum, round) => sum + each(round), 0);
    const answers = total(({ driven }) => driven.answers);
    const ofDatabase = ((database() - before) / answers) * 1e6;
    const ofNodes = total(({ figures, driven }) => (figures["CPU per order"]?.[0] ?? 0) * driven.answers) / answers;
    all[`${kind}: orders/s`] = [total(({ driven }) => driven.perSecond), "orders/s"];
    all[`${kind}: p99`] = [Math.max(...rounds.map(({ driven }) => driven.latencyMs.p99)), "ms"];
    all[`${kind}: CPU`] = [ofNodes + ofDatabase, "us"];
    all[`${kind}: of that the database's`] = [ofDatabase, "us"];
  }
  return { figures: all };
}

/** The first process of a server. */
function pidOf({ dataDirectory }: PostgresServer): number {
  return Number(readFileSync(join(dataDirectory, "postmaster.pid"), "utf8").split("\n", 1)[0]);
}

/** Services with one journal, each loaded until it is warm. `further`: what else a round measures. */
async function warmNodes(
  scope: Scope,
  { warmup, ...load }: WarmLoad,
  journal: string,
  count: number,
  databasePid?: number,
  further: (node: Service) => Promise<Figures> = async () => ({}),
): Promise<() => Promise<Round>> {
  const nodes: Service[] = [];
  while (nodes.length < count) nodes.push(await startService(scope, { ...SETTINGS, JOURNAL: journal }));
  for (const node of nodes) await closedLoop(node, { ...load, seconds: warmup });
  return async () => {
    const { figures } = await round(nodes, load, databasePid);
    return { figures: { ...figures, ...(await further(nodes[0] as Service)) } };
  };
}

export interface Site {
  readonly nodes: number;
  /** Orders that have ended before. */
  readonly ended?: number;
  readonly further?: (node: Service, journal: string, scope: Scope) => Promise<Figures>;
}

/** Nodes on a PostgreSQL of their own. */
export function onPostgres(name: string, load: WarmLoad, { nodes, ended = 0, further }: Site): Variant {
  return {
    name,
    ofTree: true,
    async open(scope) {
      const server = scope.stack.use(await startPostgres({ fsync: true, settings: DATABASE }));
      if (ended > 0) await fillWith(ended, server, scope);
      return await warmNodes(scope, load, server.url, nodes, pidOf(server), further && ((node) => further(node, server.url, scope)));
    },
  };
}

/** Fills the tables with orders that have ended, one in ten failed and compensated. */
async function fillWith(ended: number, server: PostgresServer, scope: Scope): Promise<void> {
  const first = await startService(scope, { JOURNAL: server.url });
  await first.process.stop();
  const steps = `[{"name":"payment","status":"ok","duration_ms":152},{"name":"vendor","status":"ok","duration_ms":203},{"name":"courier","status":"ok","duration_ms":101}]`;
  await server.query(
    `INSERT INTO ${SCHEMA}.attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, answered, answer)
     SELECT gen_random_uuid(), 1, 1200, at_ms - 200, at_ms, CASE WHEN n % 10 = 0 THEN 'no_courier' END, 1, '{"status":"ok","steps":${steps}}'
     FROM (SELECT n, $1::bigint - $2::bigint + n AS at_ms FROM generate_series(1, $2::bigint) n) times`,
    [Date.now(), ended],
  );
  await server.query(
    `INSERT INTO ${SCHEMA}.compensations (attempt_id, step, state, tries, ended_ms)
     SELECT id, step, 'done', 1, ended_ms FROM ${SCHEMA}.attempts CROSS JOIN (VALUES ('payment'), ('vendor')) steps (step) WHERE error IS NOT NULL`,
  );
  await server.query("VACUUM ANALYZE");
  await server.query("CHECKPOINT");
}

export const experiment = defineExperiment({
  question: "What does one node on PostgreSQL cost, beside one with its journal in a file?",
  defaults: { warmup: 5, rounds: 5, seconds: 3, connections: 64 },
  lab: { warmup: 3, rounds: 2, seconds: 2 },
  variants: (load) => [
    { name: FILE, ofTree: true, open: (scope) => warmNodes(scope, load, join(scope.directory, "orders.db"), 1) },
    onPostgres(POSTGRES, load, { nodes: 1 }),
  ],
  targets: (seen) =>
    (
      [
        ["placed", 1.6],
        ["with a key", 1.8],
      ] as const
    ).flatMap(([kind, limit]) => [
      atLeast(`${kind}: orders/s over those with a file`, seen.ratio(`${kind}: orders/s`, POSTGRES, FILE), 0.6),
      atMost(`${kind}: CPU per order, node and database, over that with a file`, seen.ratio(`${kind}: CPU`, POSTGRES, FILE), limit),
    ]),
});
