import { WITHOUT_DEBIAN_POSTGRES } from "../../test/support/postgres/binaries.ts";
import { campaignTerminal } from "../campaign-terminal.ts";
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
  const terminal = campaignTerminal();
  const result = await campaign({
    ...line,
    plan: planOf(seed, line),
    couriersWithinMs: COURIERS_WITHIN_MS,
    endedWithinMs: leaseMs + ENDED_WITHIN_MS,
    ...terminal,
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
