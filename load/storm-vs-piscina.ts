import { availableParallelism } from "node:os";
import { atATime } from "./at-a-time.ts";
import { PiscinaOrders } from "./baseline/piscina-orders.ts";
import { SignalOrders } from "./baseline/signal-orders.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { PipelineInProcess } from "./pipeline-in-process.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { table } from "./table.ts";
import { atLeast, atMost } from "./target.ts";

const USAGE = `Orders whose payment fails after 5 ms while their siblings would take 800 ms, 64 at a time: this pipeline against Piscina's own signal.

usage: npm run bench:storm -- [--seconds N] [--rounds N]

  --seconds N  of each round (default: 3)
  --rounds N   of each of the two, by turns (default: 3)
`;
const AT_A_TIME = 64;
const FAILS_AFTER_MS = 5;
const SIBLING_MS = 800;
const STEPS_AN_ORDER = 3;
const TRY_SECONDS = 2;
const MIN_RATIO = 40;
const MIN_SIGNAL_RATIO = 1.5;
// Piscina gives an abortable task a thread of its own. Few threads: the one lost has little to compete with for the
// processor while its successor starts. One an order: the steps of other orders queue, and an abort in the queue is
// free. One a step: none queues. Whichever is best on this machine is the baseline.
const BASELINE_THREADS = [8, AT_A_TIME, AT_A_TIME * STEPS_AN_ORDER];

interface Round {
  readonly who: string;
  readonly perSecond: number;
  readonly threadsLost: number;
}

async function piscinaRound(threads: number, seconds: number): Promise<Round> {
  await using orders = await PiscinaOrders.start(threads);
  const sibling = { ms: SIBLING_MS, fails: false };
  const perSecond = await atATime(AT_A_TIME, seconds, () => orders.run([{ ms: FAILS_AFTER_MS, fails: true }, sibling, sibling]));
  return { who: `Piscina signal, ${threads} threads`, perSecond, threadsLost: orders.threadsDestroyed };
}

/** The third way, which readers will ask for. */
async function signalRound(seconds: number): Promise<Round> {
  await using orders = await SignalOrders.start(availableParallelism(), AT_A_TIME * STEPS_AN_ORDER);
  const sibling = { ms: SIBLING_MS, fails: false };
  const perSecond = await atATime(AT_A_TIME, seconds, async () => {
    const outcomes = await orders.run([{ ms: FAILS_AFTER_MS, fails: true }, sibling, sibling]);
    if (outcomes[0]?.failed !== true) throw new Error("an order did not fail as it should have");
  });
  return { who: "transferable AbortSignal", perSecond, threadsLost: 0 };
}

async function ownRound(seconds: number): Promise<Round> {
  await using pipeline = await PipelineInProcess.start({ threads: availableParallelism(), cpuThreads: 1, orders: AT_A_TIME });
  const delayMs = { payment: FAILS_AFTER_MS, vendor: SIBLING_MS, courier: SIBLING_MS };
  const perSecond = await atATime(AT_A_TIME, seconds, async () => {
    const { error } = await pipeline.run({ failStep: "payment", delayMs });
    if (error !== "payment_declined") throw new Error(`an order ended with ${error} instead of payment_declined`);
  });
  return { who: "this pipeline", perSecond, threadsLost: pipeline.threadsReplaced };
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 3, rounds: 3 });
  if (options === undefined) return [];
  const { seconds, rounds } = options;
  const tried: { threads: number; perSecond: number }[] = [];
  for (const threads of BASELINE_THREADS)
    tried.push({ threads, perSecond: (await piscinaRound(threads, Math.min(seconds, TRY_SECONDS))).perSecond });
  const best = tried.reduce((a, b) => (b.perSecond > a.perSecond ? b : a));
  for (const { threads, perSecond } of tried)
    process.stdout.write(`tried Piscina with ${threads} threads: ${perSecond.toFixed(0)} orders/s\n`);

  const baseline: Round[] = [];
  const signals: Round[] = [];
  const own: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    baseline.push(await piscinaRound(best.threads, seconds));
    signals.push(await signalRound(seconds));
    own.push(await ownRound(seconds));
  }
  const rows = [...baseline, ...signals, ...own].map(({ who, perSecond, threadsLost }) => [who, perSecond.toFixed(0), String(threadsLost)]);
  process.stdout.write(`\n${table(["payment fails after 5 ms, siblings take 800 ms", "orders/s", "threads lost"], rows)}`);

  const rate = (which: readonly Round[]): number => median(which.map(({ perSecond }) => perSecond));
  const lost = own.reduce((sum, { threadsLost }) => sum + threadsLost, 0);
  return [
    atLeast("orders/s over those of Piscina's signal, medians", rate(own) / rate(baseline), MIN_RATIO),
    // Most of the difference is the cost to make, send and abort a signal, which differs between machines.
    atLeast("orders/s over those of transferable signals, medians", rate(own) / rate(signals), MIN_SIGNAL_RATIO),
    atMost("threads replaced", lost, 0),
  ];
});
