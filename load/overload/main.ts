import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { STEPS } from "../../src/orders/steps.ts";
import { readNumbers } from "../long-run/numbers.ts";
import { Progress } from "../progress.ts";
import { quantile } from "../quantile.ts";
import { residentKiB } from "../resident-memory.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { randomFrom } from "../stand-in/random.ts";
import { table } from "../table.ts";
import { atLeast, atMost, type Target } from "../target.ts";
import { settledCounters } from "../thread-counters.ts";
import { idealLine } from "./ideal-line.ts";
import { type Ended, type Phase, runPhase } from "./phase.ts";
import { poisson } from "./poisson.ts";

const USAGE = `Orders come at random moments, at 10, 3, 1.1, 0.9 and 0.6 times the rate that can be served, one rate right after the other: at couriers
who take 0.1 s, at couriers who take 1.1 s of the deadline of 2 s, and at threads that compute. An ideal line that knows all holds is simulated
with the very same arrivals. Goodput is what is placed while orders come.

usage: npm run bench:overload -- [--seconds N] [--cpu N] [--seed N]

  --seconds N  how long orders come at each rate (default: 30)
  --cpu N      milliseconds that a computing order takes of a thread (default: 200)
  --seed N     makes the same arrivals again (default: a random one)
`;

// The heaviest first: each lighter load meets what the one before has left and taught.
const FACTORS = [10, 3, 1.1, 0.9, 0.6];
const TIMEOUT_MS = 2_000;
const COURIERS = 5;

interface Bottleneck {
  readonly name: string;
  readonly servers: number;
  readonly holdMs: number;
  readonly order: object;
}

interface Result extends Phase {
  readonly at: string;
  readonly goodput: number;
  readonly ideal: number;
  readonly mib: number;
}

async function measure(server: ServerProcess, bottleneck: Bottleneck, factor: number, seconds: number, seed: number): Promise<Result> {
  const { name, servers, holdMs, order } = bottleneck;
  const at = `${name}, ${factor} x`;
  const arrivals = poisson(randomFrom(`${seed} ${at}`), (factor * servers * 1_000) / holdMs, seconds, () => ({ holdMs }));
  const inTime = (doneMs: number): boolean => doneMs <= seconds * 1_000;
  const ideal = idealLine(arrivals, { limit: servers, timeoutMs: TIMEOUT_MS }).filter(inTime).length / seconds;
  using progress = new Progress(at, seconds);
  const arrivalsMs = arrivals.map(({ atMs }) => atMs);
  const phase = await runPhase({ port: server.port, arrivalsMs, order, onAnswer: progress.count });
  const goodput = phase.ended.filter(({ end, doneMs }) => end === "placed" && inTime(doneMs)).length / seconds;
  return { at, goodput, ideal, mib: residentKiB(server.pid) / 1_024, ...phase };
}

function latenciesOf({ ended }: Phase, which: Ended["end"]): number[] {
  return ended.filter(({ end }) => end === which).map(({ latencyMs }) => latencyMs);
}

const count = (phase: Phase, which: Ended["end"]): number => latenciesOf(phase, which).length;

const shown = (values: readonly number[], q: number): string => (values.length === 0 ? "" : quantile(values, q).toFixed(1));

const HEAD = [
  "goodput/s",
  "ideal/s",
  "ratio",
  "placed",
  "failed",
  "refused",
  "placed p50 ms",
  "p99 ms",
  "refused p50 ms",
  "p99 ms",
  "sent late p99 ms",
  "MiB",
];

function rowOf(result: Result): string[] {
  const { at, goodput, ideal, mib, lateMs } = result;
  const [placed, refused] = [latenciesOf(result, "placed"), latenciesOf(result, "refused")];
  const counts = (["placed", "failed", "refused"] as const).map((which) => String(count(result, which)));
  return [
    ...[at, goodput.toFixed(2), ideal.toFixed(2), (goodput / ideal).toFixed(3), ...counts],
    ...[shown(placed, 0.5), shown(placed, 0.99), shown(refused, 0.5), shown(refused, 0.99), shown(lateMs, 0.99), mib.toFixed(0)],
  ];
}

function targetsOf(result: Result): Target[] {
  const { at, goodput, ideal, broken } = result;
  const [placed, failed, refusals] = [count(result, "placed"), count(result, "failed"), latenciesOf(result, "refused")];
  return [
    atLeast(`${at}: goodput over that of an ideal line`, goodput / ideal, 0.9),
    atMost(`${at}: accepted orders that fail`, (100 * failed) / Math.max(1, placed + failed), 1, " %"),
    atMost(`${at}: time to a refusal, p99`, refusals.length === 0 ? 0 : quantile(refusals, 0.99), 50, " ms"),
    atMost(`${at}: broken connections`, broken, 0),
  ];
}

/** Steps that ran and belong to no order that was accepted. A failed order may have run three and compensated three. */
async function stepsOfRefused(server: ServerProcess, phases: readonly Phase[]): Promise<number> {
  const { started } = await settledCounters(server.adminUrl);
  const allowed = phases.reduce((sum, phase) => sum + STEPS.length * (count(phase, "placed") + 2 * count(phase, "failed")), 0);
  return Math.max(0, started - allowed);
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 30, cpu: 200, seed: 1 + Math.floor(Math.random() * 1e8) });
  if (options === undefined) return [];
  process.stdout.write(`--seed ${options.seed}\n`);
  const threads = availableParallelism();
  const slow = { payment: 100, vendor: 100, courier: 1_100 };
  const bottlenecks: readonly Bottleneck[] = [
    { name: "couriers of 0.1 s", servers: COURIERS, holdMs: 100, order: { amount: 1200 } },
    { name: "couriers of 1.1 s", servers: COURIERS, holdMs: slow.courier, order: { amount: 1200, delay_ms: slow } },
    {
      name: `threads of ${options.cpu} ms`,
      servers: threads,
      holdMs: options.cpu,
      order: { amount: 1200, delay_ms: { payment: 0, courier: 0 }, cpu_ms: { vendor: options.cpu } },
    },
  ];
  const targets: Target[] = [];
  for (const bottleneck of bottlenecks) {
    const directory = mkdtempSync(join(tmpdir(), "overload-"));
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    await using server = await ServerProcess.start({
      JOURNAL: join(directory, "orders.db"),
      ORDER_TIMEOUT_MS: String(TIMEOUT_MS),
      COURIER_CAPACITY: String(COURIERS),
      CPU_THREADS: String(threads),
    });
    // Nobody has computed or called anybody yet, so the service knows no hold; and its code is not compiled.
    const warmUp = await runPhase({ port: server.port, arrivalsMs: Array(bottleneck.servers).fill(0), order: bottleneck.order });
    const results: Result[] = [];
    for (const factor of FACTORS) results.push(await measure(server, bottleneck, factor, options.seconds, options.seed));
    process.stdout.write(`${table([bottleneck.name, ...HEAD], results.map(rowOf))}\n`);
    targets.push(...results.flatMap(targetsOf));
    targets.push(atMost(`${bottleneck.name}: steps run for refused orders`, await stepsOfRefused(server, [warmUp, ...results]), 0));
  }
  return targets;
});
