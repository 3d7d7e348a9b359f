import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { HEAD, interleaved, type Round, smallOrders, type Way } from "./interleaved.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast, atMost, type Target } from "./target.ts";

const WARM_UP_SECONDS = 15;
const SECONDS = 3;
const SCRAPE_EVERY_MS = 1_000;
// The limits: telemetry that is off against a build without it, and a scrape every second against none.
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

const round = (server: ServerProcess, seconds = SECONDS): Promise<Round> => smallOrders(server, seconds);

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

/** Takes traces and throws them away. */
async function startCollector(): Promise<string> {
  const server = createServer((request, response) => request.resume().once("end", () => response.end("{}")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

runBench(async () => {
  const settings = { COURIER_CAPACITY: "64" };
  const targets: Target[] = [];
  const rows: (readonly string[])[] = [];
  const compare = async (first: Way, second: Way) => {
    const compared = await interleaved(first, second, PAIRS);
    rows.push(...compared.rows);
    return compared;
  };
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
  process.stdout.write(table(HEAD, rows));
  return targets;
});
