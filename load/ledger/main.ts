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
  const stop = new AbortController();
  // The first one ends it as if the time were over; a second one at once.
  process.removeAllListeners("SIGINT");
  process.once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    stop.abort();
  });
  const result = await campaign({
    seed,
    runMs: minutes * MINUTE_MS,
    limitMs: LONGEST * minutes * MINUTE_MS,
    ...(orders !== undefined && { orders }),
    clients: CLIENTS,
    brief: false,
    pauseMs: 800,
    stop: stop.signal,
    say: (text) => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`),
  });
  process.stdout.write(reportOn(result, seed));
  const isWell = result.violations.length === 0;
  if (isWell && !keep) result.remove();
  else process.stdout.write(`the journal and the logs are in ${result.directory}\n`);
  return [
    atMost("violations", result.violations.length, 0),
    // Whoever stops it early knows that it has not seen everything.
    ...(stop.signal.aborted ? [] : [atMost("kinds of things that were not seen", result.missing.length, 0)]),
  ];
});
