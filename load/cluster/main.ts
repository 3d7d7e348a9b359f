import { WITHOUT_DEBIAN_POSTGRES } from "../../test/support/postgres/binaries.ts";
import { runBench } from "../run-bench.ts";
import { atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { readCommandLine, USAGE } from "./options.ts";
import { planOf } from "./plan.ts";
import { reportOn } from "./report.ts";

const COURIERS_WITHIN_MS = 2_000;
// Beside the lease.
const ENDED_WITHIN_MS = 3_000;

runBench(async () => {
  const line = readCommandLine(process.argv.slice(2));
  if (line === undefined) {
    process.stdout.write(USAGE);
    return [];
  }
  const { seed, leaseMs } = line;
  process.stdout.write(`seed ${seed}\n`);
  if (WITHOUT_DEBIAN_POSTGRES !== undefined) process.stdout.write(`no failover: ${WITHOUT_DEBIAN_POSTGRES}\n`);
  const stop = new AbortController();
  // The first one ends it as if all orders had been placed; a second one at once.
  process.removeAllListeners("SIGINT");
  process.once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    stop.abort();
  });
  const result = await campaign({
    ...line,
    plan: planOf(seed, line),
    couriersWithinMs: COURIERS_WITHIN_MS,
    endedWithinMs: leaseMs + ENDED_WITHIN_MS,
    stop: stop.signal,
    say: (text) => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`),
  });
  process.stdout.write(reportOn(result));
  const isWell = result.violations.length === 0;
  if (isWell && !line.keep) result.remove();
  else process.stdout.write(`the logs are in ${result.directory}\n`);
  return [
    atMost("violations", result.violations.length, 0),
    atMost("couriers in use at one time", result.couriers.most, result.couriers.count),
  ];
});
