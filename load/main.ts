import { type LoadOptions, readOptions, USAGE, UsageError } from "./options.ts";
import { runScenario, type ScenarioResult } from "./run-scenario.ts";
import { table } from "./table.ts";
import { describeCounters } from "./thread-counters.ts";

const INTERRUPTED = 130;
const WRONG_USAGE = 2;

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const interrupt = new AbortController();
  // Stays subscribed: npm passes the terminal's Ctrl-C on, so one of them arrives twice.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  const results = await runAll(options, interrupt.signal);
  report(results);
  if (interrupt.signal.aborted) return INTERRUPTED;
  return results.every(({ faults }) => faults.length === 0) ? 0 : 1;
}

async function runAll({ scenarios, connections, seconds }: LoadOptions, signal: AbortSignal): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    if (signal.aborted) break;
    results.push(await runScenario(scenario, connections, seconds, signal));
  }
  return results;
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
