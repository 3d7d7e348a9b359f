import { campaignTerminal } from "../campaign-terminal.ts";
import { readOptions, seedOf, wholeNumber } from "../options.ts";
import { runBench } from "../run-bench.ts";
import { atMost } from "../target.ts";
import { campaign } from "./campaign.ts";
import { reportOn } from "./report.ts";

const USAGE = `Disturbs the service while clients place orders, and keeps the books that it cannot forge. It is killed, at random moments and at its commits,
its disk is full or fails, its journal is locked, its clock jumps, its providers hang, cut, act late and refuse, operators retry and settle,
backups are made under load and restored. In the end every placed order must have been paid, accepted and assigned exactly once, every other
one must have left nothing behind, every answer under a key must have stayed the same, and every event must have come, in its order.

usage: npm run campaign:ledger -- [--minutes N] [--orders N] [--seed N]

  --minutes N  how long things go wrong (default: 2); longer, until each kind of thing has been seen, for five times as long at most
  --orders N   ends earlier, when so many orders have been asked for
  --seed N     the same things in the same order as another run with that seed (default: a new one)
  --keep       leaves the journal and the logs where they are

It tells on stderr what it does. Exit code 0: all is well; 1: something is wrong, then with the history of the order; 2: wrong usage.
`;

const LONGEST = 5;
// Requests at one time: enough for two cores, although half of the time the service is down or its providers hang.
const CLIENTS = 64;
const MINUTE_MS = 60_000;

runBench(async () => {
  const { help, keep, ...texts } = readOptions({
    minutes: { type: "string", default: "2" },
    orders: { type: "string" },
    seed: { type: "string" },
    keep: { type: "boolean", default: false },
  });
  if (help) {
    process.stdout.write(USAGE);
    return [];
  }
  const minutes = wholeNumber("minutes", texts.minutes, 10_000);
  const seed = seedOf(texts.seed);
  process.stdout.write(`seed ${seed}\n`);
  const terminal = campaignTerminal();
  const result = await campaign({
    seed,
    runMs: minutes * MINUTE_MS,
    limitMs: LONGEST * minutes * MINUTE_MS,
    ...(texts.orders !== undefined && { orders: wholeNumber("orders", texts.orders, 10_000_000) }),
    clients: CLIENTS,
    brief: false,
    pauseMs: 800,
    ...terminal,
  });
  process.stdout.write(reportOn(result));
  const isWell = result.violations.length === 0;
  if (isWell && !keep) result.remove();
  else process.stdout.write(`the journal and the logs are in ${result.directory}\n`);
  return [
    atMost("violations", result.violations.length, 0),
    // Whoever stops it early knows that it has not seen everything.
    ...(terminal.stop.aborted ? [] : [atMost("kinds of things that were not seen", result.missing.length, 0)]),
  ];
});
