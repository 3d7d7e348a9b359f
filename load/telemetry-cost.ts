import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { cpuSeconds } from "./cpu-time.ts";
import { drive } from "./drive.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast, atMost, type Target } from "./target.ts";

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 15;
const SECONDS = 3;
const ORDER = { amount: 1200, delay_ms: { payment: 0, vendor: 0, courier: 0 } };
const SCRAPE_EVERY_MS = 1_000;
// What telemetry that is off may cost against a build without it, and a scrape every second against none.
const OFF_RATIO = 0.97;
const SCRAPED_RATIO = 0.99;

const USAGE = `What log lines, traces and a scrape every second cost: orders a second and CPU an order, by turns.

usage: npm run bench:telemetry -- [--against DIRECTORY] [--pairs N]

  --against DIRECTORY  another checkout of this project, to compare telemetry that is off with a build that has none
  --pairs N            of rounds for each comparison (default: 9)
`;
const { values } = parseArgs({
  options: {
    against: { type: "string" },
    pairs: { type: "string", default: "9" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const PAIRS = Number(values.pairs);

interface Round {
  readonly perSecond: number;
  /** Of the service alone, all its threads. */
  readonly cpuMicros: number;
}

async function round({ orderUrl, pid }: ServerProcess, seconds = SECONDS): Promise<Round> {
  const before = cpuSeconds(pid);
  const result = await drive({ url: orderUrl, connections: CONNECTIONS, seconds, order: ORDER, answerHas: '"status":"ok"' });
  const wrong = result.answers - (result.statuses.get(200) ?? 0) + result.wrongBodies + result.socketErrors + result.timeouts;
  if (wrong > 0 || result.answers === 0) throw new Error(`${wrong} of ${result.answers} answers were wrong or missing`);
  return { perSecond: result.perSecond, cpuMicros: ((cpuSeconds(pid) - before) / result.answers) * 1e6 };
}

/** A round while somebody reads `/metrics` every second. */
async function scrapedRound(server: ServerProcess): Promise<Round> {
  const scrape = () => void fetch(`${server.adminUrl}/metrics`).then((answer) => answer.text());
  scrape();
  const timer = setInterval(scrape, SCRAPE_EVERY_MS);
  try {
    return await round(server);
  } finally {
    clearInterval(timer);
  }
}

interface Way {
  readonly name: string;
  readonly run: () => Promise<Round>;
}

interface Ratios {
  readonly perSecond: number;
  readonly cpu: number;
}

const rows: string[][] = [];

/**
 * Short rounds by turns, for what else the machine has to do changes within seconds. Ratios of the second way to the first, medians
 * of pairs.
 */
async function compare(first: Way, second: Way): Promise<Ratios> {
  const pairs: { one: Round; other: Round }[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    // Which of them goes first changes as well.
    const swap = pair % 2 === 1;
    const early = await (swap ? second : first).run();
    const late = await (swap ? first : second).run();
    pairs.push(swap ? { one: late, other: early } : { one: early, other: late });
  }
  const of = (pick: (round: Round) => number) => median(pairs.map(({ one, other }) => pick(other) / pick(one)));
  const ratios = { perSecond: of(({ perSecond }) => perSecond), cpu: of(({ cpuMicros }) => cpuMicros) };
  const { name } = first;
  const mid = (which: "one" | "other", pick: (round: Round) => number) => median(pairs.map((pair) => pick(pair[which])));
  for (const [who, which] of [
    [name, "one"],
    [second.name, "other"],
  ] as const) {
    rows.push([who, mid(which, (r) => r.perSecond).toFixed(0), mid(which, (r) => r.cpuMicros).toFixed(1), "", ""]);
  }
  rows.push([`  ${second.name} / ${name}`, "", "", ratios.perSecond.toFixed(3), ratios.cpu.toFixed(3)]);
  return ratios;
}

/** Takes traces and throws them away. */
async function startCollector(): Promise<string> {
  const server = createServer((request, response) => request.resume().once("end", () => response.end("{}")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

runBench(async () => {
  const settings = { COURIER_CAPACITY: String(CONNECTIONS) };
  const targets: Target[] = [];
  await using quiet = await ServerProcess.start({ ...settings, LOG_LEVEL: "warn" });
  process.stdout.write(`warming up each process for ${WARM_UP_SECONDS} s, then ${PAIRS} pairs of ${SECONDS} s for each comparison\n`);
  await round(quiet, WARM_UP_SECONDS);
  const off = { name: "traces off, LOG_LEVEL=warn", run: () => round(quiet) };

  if (values.against !== undefined) {
    await using other = await ServerProcess.start({ ...settings, LOG_LEVEL: "warn" }, resolve(values.against, "src/main.ts"));
    await round(other, WARM_UP_SECONDS);
    const { perSecond, cpu } = await compare({ name: "the other checkout", run: () => round(other) }, off);
    targets.push(atLeast("orders/s with telemetry off over those of the other checkout", perSecond, OFF_RATIO));
    targets.push(atMost("CPU an order with telemetry off over that of the other checkout", cpu, 1 / OFF_RATIO));
  }
  {
    const { perSecond, cpu } = await compare(off, { name: "scraped every second", run: () => scrapedRound(quiet) });
    targets.push(atLeast("orders/s scraped every second over not scraped", perSecond, SCRAPED_RATIO));
    targets.push(atMost("CPU an order scraped every second over not scraped", cpu, 1 / SCRAPED_RATIO));
  }
  {
    await using logging = await ServerProcess.start({ ...settings, LOG_LEVEL: "info" });
    await round(logging, WARM_UP_SECONDS);
    await compare(off, { name: "LOG_LEVEL=info", run: () => round(logging) });
  }
  {
    await using tracing = await ServerProcess.start({
      ...settings,
      LOG_LEVEL: "warn",
      OTEL_EXPORTER_OTLP_ENDPOINT: await startCollector(),
    });
    await round(tracing, WARM_UP_SECONDS);
    await compare(off, { name: "every order traced", run: () => round(tracing) });
  }
  process.stdout.write(table([`${CONNECTIONS} connections, zero delays`, "orders/s", "CPU us/order", "orders/s ratio", "CPU ratio"], rows));
  return targets;
});
