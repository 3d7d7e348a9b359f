import { availableParallelism } from "node:os";
import type { OrderOutcome } from "../src/orders/outcome.ts";
import type { Simulation } from "../src/orders/step.ts";
import { SignalOrders, type SignalOutcome, type SignalStep } from "./baseline/signal-orders.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { PipelineInProcess } from "./pipeline-in-process.ts";
import { quantile } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { table } from "./table.ts";
import { atMost, type Target } from "./target.ts";

const USAGE = `From the moment a payment fails on its thread until its siblings have stopped on theirs, one order after the other.

usage: npm run bench:cancel -- [--orders N]

  --orders N  with siblings that sleep; a third as many with one that computes (default: 3000)
`;
const P50_LIMIT_MS = 0.2;
const P99_LIMIT_MS = 2;
const WARM_UP = 200;
const SIBLING_MS = 800;
// Long enough for the siblings to have begun on their threads, short enough for thousands of orders.
const FAILS_AFTER_MS = 3;

interface Case {
  readonly name: string;
  /** Of those that are asked for. */
  readonly share: number;
  readonly simulation: Simulation;
}

const CASES: readonly Case[] = [
  {
    name: "sleeping siblings",
    share: 1,
    simulation: { failStep: "payment", delayMs: { payment: FAILS_AFTER_MS, vendor: SIBLING_MS, courier: SIBLING_MS } },
  },
  {
    name: "computing sibling",
    share: 1 / 3,
    // Only one: with more computing threads than processors, this would measure the scheduler of the operating system.
    simulation: { failStep: "payment", delayMs: { payment: FAILS_AFTER_MS, courier: 0 }, cpuMs: { vendor: SIBLING_MS } },
  },
];

/** From the moment the payment failed on its thread until each canceled sibling had stopped on its own. */
function latenciesOf({ steps }: OrderOutcome): number[] {
  const failed = steps.find(({ outcome }) => outcome.status === "failed");
  const canceled = steps.filter(({ outcome }) => outcome.status === "canceled");
  if (failed === undefined || canceled.length === 0) throw new Error("the order did not fail as it should have");
  return canceled.map(({ endedAtMs }) => endedAtMs - failed.endedAtMs);
}

async function measure(pipeline: PipelineInProcess, orders: number, simulation: Simulation): Promise<number[]> {
  for (let n = 0; n < WARM_UP; n++) await pipeline.run(simulation);
  const latencies: number[] = [];
  for (let n = 0; n < orders; n++) latencies.push(...latenciesOf(await pipeline.run(simulation)));
  return latencies;
}

/** The same by a signal that was transferred to the siblings' threads: how late each was, for the comparison. */
const SIGNAL_CASES: readonly { readonly name: string; readonly orders: number; readonly sibling: SignalStep }[] = [
  { name: "sleeping siblings, transferable signal", orders: 3_000, sibling: { ms: SIBLING_MS, fails: false } },
  // Each runs to its end, so a few say it.
  { name: "computing sibling, transferable signal", orders: 3, sibling: { ms: 0, cpuMs: SIBLING_MS, fails: false } },
];

async function signalLatencies(orders: SignalOrders, count: number, sibling: SignalStep): Promise<number[]> {
  const latencies: number[] = [];
  for (let n = 0; n < count; n++) {
    const [failed, ...others] = await orders.run([{ ms: FAILS_AFTER_MS, fails: true }, sibling]);
    for (const { endedAtMs } of others) latencies.push(endedAtMs - (failed as SignalOutcome).endedAtMs);
  }
  return latencies;
}

runBench(async () => {
  const options = readNumbers(USAGE, { orders: 3_000 });
  if (options === undefined) return [];
  await using pipeline = await PipelineInProcess.start({ threads: availableParallelism(), cpuThreads: availableParallelism(), orders: 1 });
  const rows: string[][] = [];
  const targets: Target[] = [];
  for (const example of CASES) {
    const latencies = await measure(pipeline, Math.ceil(options.orders * example.share), example.simulation);
    const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((q) => quantile(latencies, q)) as [number, number, number, number];
    rows.push([example.name, String(latencies.length), ...[p50, p90, p99, max].map((ms) => ms.toFixed(3))]);
    targets.push(atMost(`${example.name}, p50`, p50, P50_LIMIT_MS, " ms"), atMost(`${example.name}, p99`, p99, P99_LIMIT_MS, " ms"));
  }
  // One step a thread at a time, as a computing one needs.
  await using signals = await SignalOrders.start(Math.max(2, availableParallelism()), 1);
  for (const { name, orders, sibling } of SIGNAL_CASES) {
    await signalLatencies(signals, orders > WARM_UP ? WARM_UP : 0, sibling);
    const latencies = await signalLatencies(signals, orders, sibling);
    rows.push([name, String(latencies.length), ...[0.5, 0.9, 0.99, 1].map((q) => quantile(latencies, q).toFixed(3))]);
  }
  process.stdout.write(table(["from the failure to the sibling's stop", "cancels", "p50 ms", "p90 ms", "p99 ms", "max ms"], rows));
  targets.push(atMost("threads replaced", pipeline.threadsReplaced, 0));
  return targets;
});
