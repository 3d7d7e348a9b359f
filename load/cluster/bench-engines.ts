import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { perStep } from "../../src/orders/steps.ts";
import { cpuSeconds } from "../cpu-time.ts";
import { type DriveResult, drive } from "../drive.ts";
import { readNumbers } from "../long-run/numbers.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { Cluster } from "./cluster.ts";
import { type EngineWork, engineWork } from "./engine-metrics.ts";

const USAGE = `Orders of three steps that take no time, with the embedded engine and with Restate, side by side: one, two and three nodes of the
service on an engine of one and of three. All processes share this machine's cores, so more nodes show what they cost and not what more
machines would give.

usage: npm run bench:engines -- [options]

  --seconds N      of each row (default: 10)
  --connections N  orders under way at one time, over all nodes (default: 64)
  --rounds N       how often all rows are measured (default: 1)
`;

const ORDER = { amount: 100, delay_ms: perStep(() => 0) };
const SETTINGS = { COURIER_CAPACITY: "128", LOG_LEVEL: "error" };
const WARM_UP_S = 2;
const HEAD = [
  "engine",
  "orders/s",
  "p50 ms",
  "p99 ms",
  "not 200",
  "service CPU ms",
  "engine CPU ms",
  "cores",
  "calls",
  "records",
  "writes",
];

interface Row {
  readonly name: string;
  readonly results: readonly DriveResult[];
  readonly seconds: number;
  readonly serviceCpu: number;
  readonly engineCpu: number;
  readonly work: EngineWork | undefined;
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 10, connections: 64, rounds: 1 });
  if (options === undefined) return [];
  const { seconds, connections, rounds } = options;
  const rows: string[][] = [];
  for (let round = 0; round < rounds; round++) {
    rows.push(counters(await embedded(seconds, connections)));
    for (const engineNodes of [1, 3]) {
      for (const serviceNodes of [1, 2, 3]) {
        rows.push(counters(await restate(engineNodes, serviceNodes, seconds, connections)));
        process.stderr.write(`${rows.at(-1)?.join("  ")}\n`);
      }
    }
  }
  process.stdout.write(`${table(HEAD, rows)}\nCPU, calls, log records and disk writes are those of one order.\n`);
  return [];
});

async function embedded(seconds: number, connections: number): Promise<Row> {
  const directory = await mkdtemp(join(tmpdir(), "bench-engines-"));
  try {
    await using server = await ServerProcess.start({ ...SETTINGS, JOURNAL: join(directory, "orders.db") });
    return await measured({ name: "embedded", urls: [server.orderUrl], service: () => [server.pid], seconds, connections });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function restate(engineNodes: number, serviceNodes: number, seconds: number, connections: number): Promise<Row> {
  await using cluster = await Cluster.start({ engineNodes, serviceNodes, realProviders: false, settings: SETTINGS });
  return await measured({
    name: `restate of ${engineNodes}, ${serviceNodes} node${serviceNodes === 1 ? "" : "s"}`,
    urls: cluster.nodes.map(({ orderUrl }) => orderUrl),
    service: () => cluster.nodes.map(({ pid }) => pid ?? 0),
    cluster,
    seconds,
    connections,
  });
}

interface Measurement {
  readonly name: string;
  readonly urls: readonly string[];
  readonly service: () => readonly number[];
  readonly cluster?: Cluster;
  readonly seconds: number;
  readonly connections: number;
}

async function measured({ name, urls, service, cluster, seconds, connections }: Measurement): Promise<Row> {
  const engine = cluster?.engine.nodes ?? [];
  const load = (forSeconds: number): Promise<DriveResult[]> => {
    const each = Math.ceil(connections / urls.length);
    return Promise.all(urls.map((url) => drive({ url, connections: each, seconds: forSeconds, order: ORDER, answerHas: '"status"' })));
  };
  await load(WARM_UP_S);
  const cpu = (pids: readonly (number | undefined)[]): number => pids.reduce<number>((sum, pid) => sum + (pid ? cpuSeconds(pid) : 0), 0);
  const enginePids = (): (number | undefined)[] => engine.map(({ pid }) => pid);
  const before = { service: cpu(service()), engine: cpu(enginePids()), work: await engineWork(engine) };
  const results = await load(seconds);
  const after = { service: cpu(service()), engine: cpu(enginePids()), work: await engineWork(engine) };
  return {
    name,
    results,
    seconds,
    serviceCpu: after.service - before.service,
    engineCpu: after.engine - before.engine,
    work: cluster === undefined ? undefined : difference(after.work, before.work),
  };
}

function difference(after: EngineWork, before: EngineWork): EngineWork {
  const names = Object.keys(after) as (keyof EngineWork)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as EngineWork;
}

function counters({ name, results, seconds, serviceCpu, engineCpu, work }: Row): string[] {
  const ok = results.reduce((sum, { statuses }) => sum + (statuses.get(200) ?? 0), 0);
  const answers = results.reduce((sum, result) => sum + result.answers + result.socketErrors + result.timeouts, 0);
  const each = (value: number): string => (value / Math.max(1, ok)).toFixed(2);
  return [
    name,
    results.reduce((sum, { statuses }) => sum + (statuses.get(200) ?? 0) / seconds, 0).toFixed(0),
    Math.max(...results.map(({ latencyMs }) => latencyMs.p50)).toFixed(0),
    Math.max(...results.map(({ latencyMs }) => latencyMs.p99)).toFixed(0),
    String(answers - ok),
    each(serviceCpu * 1_000),
    each(engineCpu * 1_000),
    ((serviceCpu + engineCpu) / seconds).toFixed(2),
    work === undefined ? "" : each(work.calls),
    work === undefined ? "" : each(work.records),
    work === undefined ? "" : each(work.writes),
  ];
}
