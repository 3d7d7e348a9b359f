import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Service, serviceUnder } from "../lab/closed-loop.ts";
import { defineExperiment, type Round, type Scope } from "../lab/experiment.ts";
import { atLeast, atMost } from "../target.ts";

const [OFF, SCRAPED] = ["log lines of warnings alone, no traces", "scraped every second"];
const SCRAPE_EVERY_MS = 1_000;

/** Somebody reads `/metrics` every second. */
async function scraped({ process }: Service, drive: () => Promise<Round>): Promise<Round> {
  const scrape = () => void fetch(`${process.adminUrl}/metrics`).then((answer) => answer.text());
  scrape();
  const timer = setInterval(scrape, SCRAPE_EVERY_MS);
  try {
    return await drive();
  } finally {
    clearInterval(timer);
  }
}

/** Takes traces and throws them away. */
async function collector({ stack }: Scope): Promise<string> {
  const server = createServer((request, response) => request.resume().once("end", () => response.end("{}")));
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const experiment = defineExperiment({
  question: "What do log lines, traces and a scrape every second cost?",
  defaults: { warmup: 15, rounds: 9, seconds: 3, connections: 64 },
  lab: { warmup: 5, rounds: 4, seconds: 2 },
  variants: (load) => [
    serviceUnder(OFF, load),
    serviceUnder(SCRAPED, load, () => ({}), scraped),
    serviceUnder("a log line per order", load, () => ({ LOG_LEVEL: "info" })),
    serviceUnder("every order traced", load, async (scope) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: await collector(scope) })),
  ],
  // Telemetry that is off has its limit in the ratios of --against: 3 % over a build without it.
  targets: (seen) => [
    atLeast("orders/s scraped every second over not scraped", seen.ratio("orders/s", SCRAPED, OFF), 0.99),
    atMost("CPU per order scraped every second over not scraped", seen.ratio("CPU per order", SCRAPED, OFF), 1.01),
  ],
});
