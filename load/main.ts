import { readOptions, UsageError, wholeNumber } from "./options.ts";
import { runScenario, type ScenarioResult } from "./run-scenario.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { table } from "./table.ts";
import { describeCounters } from "./thread-counters.ts";

const INTERRUPTED = 130;
const WRONG_USAGE = 2;
const NAMES = SCENARIOS.map(({ name }) => name);
const USAGE = `Starts the order service on free ports, sends it orders with autocannon, and checks that every answer is
right and that nothing of an order is left on any thread.

usage: npm run load -- [options]

  --scenario NAME     ${NAMES.join(", ")} or all; may be given several times (default: all)
  --duration SECONDS  of each scenario (default: 10)
  --connections N     orders at one time (default: 64)
  --help

${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(9)} ${about}`).join("\n")}

Exit code 0: all is well; 1: a wrong answer, a broken connection or a leak; 2: wrong usage; 130: interrupted.
`;

function choose(names: readonly string[]): readonly Scenario[] {
  const unknown = names.find((name) => name !== "all" && !NAMES.includes(name));
  if (unknown !== undefined) throw new UsageError(`--scenario ${unknown}: must be ${NAMES.join(", ")} or all`);
  return SCENARIOS.filter(({ name }) => names.includes("all") || names.includes(name));
}

async function main(): Promise<number> {
  const options = readOptions({
    scenario: { type: "string", multiple: true, default: ["all"] },
    duration: { type: "string", default: "10" },
    connections: { type: "string", default: "64" },
  });
  const scenarios = choose(options.scenario);
  const seconds = wholeNumber("duration", options.duration, 3_600);
  const connections = wholeNumber("connections", options.connections, 10_000);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const interrupt = new AbortController();
  // Stays subscribed: npm passes the terminal's Ctrl-C on, so one of them arrives twice.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    if (interrupt.signal.aborted) break;
    results.push(await runScenario(scenario, connections, seconds, interrupt.signal));
  }
  report(results);
  if (interrupt.signal.aborted) return INTERRUPTED;
  return results.every(({ faults }) => faults.length === 0) ? 0 : 1;
}

function report(results: readonly ScenarioResult[]): void {
  const rows = results.map(({ scenario, load }) => [
    scenario.name,
    load.perSecond.toFixed(0),
    ...[load.latencyMs.p50, load.latencyMs.p90, load.latencyMs.p99, load.latencyMs.max].map((ms) => ms.toFixed(0)),
    [...load.statuses].map(([status, count]) => `${status}: ${count}`).join(", ") || "none",
  ]);
  process.stdout.write(table(["scenario", "orders/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "answers by status"], rows));
  process.stdout.write("\n");
  for (const { scenario, counters, faults } of results) {
    process.stdout.write(`${scenario.name}: ${counters === undefined ? "no counters" : describeCounters(counters)}\n`);
    for (const fault of faults) process.stdout.write(`  FAULT: ${fault}\n`);
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const wrongUsage = error instanceof UsageError;
    process.stderr.write(`load: ${wrongUsage ? `${error.message} (see --help)` : (error as Error).stack}\n`);
    process.exit(wrongUsage ? WRONG_USAGE : 1);
  },
);
