import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { perStep } from "../src/orders/steps.ts";
import { type PostgresServer, startPostgres } from "../test/support/postgres/server.ts";
import { cpuSeconds, cpuSecondsOfAll } from "./cpu-time.ts";
import { type Drive, drive } from "./drive.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast, atMost, type Target } from "./target.ts";

const DEFAULTS = { warmup: 5, seconds: 3, pairs: 5, connections: 64 };
const USAGE = `One node with its journal on PostgreSQL against one with it in a file, by turns: orders/s, waits, CPU. Needs Linux. The database
is started on this machine and writes to disk at each commit.

usage: npm run bench:postgres -- [--warmup N] [--seconds N] [--pairs N] [--connections N]

  --warmup N       seconds for each node (default: ${DEFAULTS.warmup})
  --seconds N      of one round (default: ${DEFAULTS.seconds})
  --pairs N        of rounds for each kind of order (default: ${DEFAULTS.pairs})
  --connections N  at one time (default: ${DEFAULTS.connections})
`;
const MIN_RATE = 0.6;
const MAX_CPU = 1.6;
const MAX_CPU_KEYED = 1.8;

const ORDER = { amount: 1200, delay_ms: perStep(() => 0) };

interface Kind extends Pick<Drive, "order" | "answerHas" | "keyed" | "repeats"> {
  readonly name: string;
  readonly maxCpu?: number;
}

const PLACED = { order: ORDER, answerHas: '"status":"ok"' };
const KINDS: readonly Kind[] = [
  { name: "placed", ...PLACED, maxCpu: MAX_CPU },
  { name: "placed, with a key", ...PLACED, keyed: true, maxCpu: MAX_CPU_KEYED },
  { name: "failed, two compensations", order: { ...ORDER, fail_step: "courier" }, answerHas: '"kind":"no_courier"' },
  { name: "each sent five times", ...PLACED, repeats: 5 },
];

interface Round {
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly nodeMicros: number;
  readonly databaseMicros: number;
}

/** A node and what it costs. */
interface Node {
  readonly service: ServerProcess;
  readonly databasePid?: number;
}

async function round({ service, databasePid }: Node, kind: Kind, connections: number, seconds: number): Promise<Round> {
  const { order, answerHas, keyed = false, repeats = 1 } = kind;
  const cpu = () => [cpuSeconds(service.pid), databasePid === undefined ? 0 : cpuSecondsOfAll(databasePid)] as const;
  const [node, database] = cpu();
  const result = await drive({ url: service.orderUrl, connections, seconds, order, answerHas, keyed, repeats });
  const [nodeAfter, databaseAfter] = cpu();
  const wrong = result.wrongBodies + result.socketErrors + result.timeouts;
  if (wrong > 0 || result.answers === 0) throw new Error(`${kind.name}: ${wrong} of ${result.answers} answers were wrong or missing`);
  const micros = (from: number, to: number) => ((to - from) / result.answers) * 1e6;
  const { perSecond, latencyMs } = result;
  return { perSecond, p99Ms: latencyMs.p99, nodeMicros: micros(node, nodeAfter), databaseMicros: micros(database, databaseAfter) };
}

async function compare(file: Node, postgres: Node, kind: Kind, options: Record<keyof typeof DEFAULTS, number>) {
  const { seconds, pairs, connections } = options;
  const rounds: { readonly file: Round; readonly postgres: Round }[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const first = await round(pair % 2 === 0 ? file : postgres, kind, connections, seconds);
    const second = await round(pair % 2 === 0 ? postgres : file, kind, connections, seconds);
    rounds.push(pair % 2 === 0 ? { file: first, postgres: second } : { file: second, postgres: first });
  }
  const row = (name: string, which: "file" | "postgres") => {
    const middle = (pick: (round: Round) => number) => median(rounds.map((pair) => pick(pair[which])));
    const [rate, p99, node, database] = [
      middle(({ perSecond }) => perSecond),
      middle(({ p99Ms }) => p99Ms),
      middle(({ nodeMicros }) => nodeMicros),
      middle(({ databaseMicros }) => databaseMicros),
    ];
    return [name, rate.toFixed(0), p99.toFixed(0), node.toFixed(1), database.toFixed(1), ""];
  };
  const rates = rounds.map(({ file, postgres }) => postgres.perSecond / file.perSecond);
  const costs = rounds.map(({ file, postgres }) => (postgres.nodeMicros + postgres.databaseMicros) / file.nodeMicros);
  const rows = [
    [...row(`${kind.name}: file`, "file").slice(0, -1), ""],
    [...row("  PostgreSQL", "postgres").slice(0, -1), `${spread(rates)} orders/s, ${spread(costs)} CPU`],
  ];
  return { rows, rate: median(rates), cost: median(costs) };
}

function spread(ratios: readonly number[]): string {
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
}

/** The first process of a server. */
function pidOf({ dataDirectory }: PostgresServer): number {
  return Number(readFileSync(join(dataDirectory, "postmaster.pid"), "utf8").split("\n", 1)[0]);
}

runBench(async () => {
  const options = readNumbers(USAGE, DEFAULTS);
  if (options === undefined) return [];
  const { warmup, connections } = options;
  const directory = mkdtempSync(join(tmpdir(), "postgres-ratio-"));
  try {
    // As PostgreSQL comes; servers of tests are smaller.
    const settings = { shared_buffers: "128MB", max_wal_size: "1GB" };
    await using server = await startPostgres({ fsync: true, settings });
    // Nothing ends early where the machine is busy.
    const shared = { COURIER_CAPACITY: "128", ORDER_TIMEOUT_MS: "20000", COMPENSATION_TIMEOUT_MS: "20000" };
    await using onFile = await ServerProcess.start({ ...shared, JOURNAL: join(directory, "orders.db") });
    await using onPostgres = await ServerProcess.start({ ...shared, JOURNAL: server.url });
    const file = { service: onFile };
    const postgres = { service: onPostgres, databasePid: pidOf(server) };
    for (const node of [file, postgres]) await round(node, KINDS[0] as Kind, connections, warmup);
    const rows: string[][] = [];
    const targets: Target[] = [];
    for (const kind of KINDS) {
      const { rows: two, rate, cost } = await compare(file, postgres, kind, options);
      rows.push(...two);
      if (kind.maxCpu === undefined) continue;
      targets.push(atLeast(`${kind.name}: orders/s over those with a file`, rate, MIN_RATE));
      targets.push(atMost(`${kind.name}: CPU an order over that with a file`, cost, kind.maxCpu));
    }
    const head = [`${connections} connections`, "orders/s", "p99 ms", "node us/order", "database us/order", "ratio"];
    process.stdout.write(table(head, rows));
    return targets;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
