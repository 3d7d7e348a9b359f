import { campaignTerminal } from "../campaign-terminal.ts";
import { runBench } from "../run-bench.ts";
import { atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { readCommandLine, USAGE } from "./options.ts";
import { reportOn } from "./report.ts";

const LONGEST = 5;
// Requests at one time: enough for two cores, although half of the time the service is down or its providers hang.
const CLIENTS = 64;
const MINUTE_MS = 60_000;

runBench(async () => {
  const line = readCommandLine(process.argv.slice(2));
  if (line === undefined) {
    process.stdout.write(USAGE);
    return [];
  }
  const { minutes, seed, orders, keep } = line;
  process.stdout.write(`seed ${seed}\n`);
  const terminal = campaignTerminal();
  const result = await campaign({
    seed,
    runMs: minutes * MINUTE_MS,
    limitMs: LONGEST * minutes * MINUTE_MS,
    ...(orders !== undefined && { orders }),
    clients: CLIENTS,
    brief: false,
    pauseMs: 800,
    ...terminal,
  });
  process.stdout.write(reportOn(result, seed));
  const isWell = result.violations.length === 0;
  if (isWell && !keep) result.remove();
  else process.stdout.write(`the journal and the logs are in ${result.directory}\n`);
  return [
    atMost("violations", result.violations.length, 0),
    // Whoever stops it early knows that it has not seen everything.
    ...(terminal.stop.aborted ? [] : [atMost("kinds of things that were not seen", result.missing.length, 0)]),
  ];
});
