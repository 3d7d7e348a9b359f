import { mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { STEPS } from "../../src/orders/steps.ts";
import { atATime } from "../at-a-time.ts";
import { readNumbers } from "../long-run/numbers.ts";
import { post } from "../open-loop.ts";
import { orderIds } from "../order-ids.ts";
import { residentKiB } from "../resident-memory.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atLeast, atMost, type Target } from "../target.ts";
import { settledCounters } from "../thread-counters.ts";
import { failures, type Phase, runPhase } from "./phase.ts";

const USAGE = `Orders come at a constant rate of 1.1, 3 and 10 times what can be served: first with the couriers as the bottleneck (default settings),
then with threads that compute. Before each of them the peak is measured: as many orders at a time as keep the bottleneck busy.

usage: npm run bench:overload -- [--seconds N] [--cpu N]

  --seconds N  how long orders come at each rate (default: 30)
  --cpu N      milliseconds that a computing order takes of a thread (default: 40)
`;

const FACTORS = [1.1, 3, 10];
const PEAK_SECONDS = 4;
const WARM_UP_MS = 1_000;
const AFTER_SECONDS = 5;
const AFTER_SHARE = 0.5;
const BACK_TO_NORMAL_MS = 2_000;
const LOOK_EVERY_MS = 250;

interface Bottleneck {
  readonly name: string;
  /** Orders at a time that keep it busy and make nobody wait for long. */
  readonly atATime: number;
  readonly order: Readonly<Record<string, unknown>>;
}

const nextId = orderIds();

interface Result {
  readonly factor: number;
  readonly peak: number;
  readonly peakOrders: number;
  readonly phase: Phase;
  readonly after: Phase;
  readonly firstHalfMiB: number;
  readonly secondHalfMiB: number;
}

/** Orders placed a second while so many are always in flight, without the ramps at the beginning and the end. */
async function peakOf(port: number, { atATime: count, order }: Bottleneck): Promise<{ perSecond: number; orders: number }> {
  const agent = new Agent({ keepAlive: true });
  const countFromMs = performance.now() + WARM_UP_MS;
  const countUntilMs = countFromMs + PEAK_SECONDS * 1_000;
  let counted = 0;
  let orders = 0;
  await atATime(count, PEAK_SECONDS + WARM_UP_MS / 1_000, async () => {
    orders++;
    const [status, body] = await post(agent, port, JSON.stringify({ order_id: nextId(), ...order }));
    if (status !== 200) throw new Error(`an order at the peak was answered with ${status}: ${body}`);
    const nowMs = performance.now();
    if (nowMs > countFromMs && nowMs <= countUntilMs) counted++;
  });
  agent.destroy();
  return { perSecond: counted / PEAK_SECONDS, orders };
}

/** Highest resident memory in each half of so many seconds. */
async function watchMemory(pid: number, seconds: number): Promise<[firstMiB: number, secondMiB: number]> {
  const seen: number[] = [];
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; await sleep(LOOK_EVERY_MS))
    seen.push(residentKiB(pid) / 1024);
  const half = Math.floor(seen.length / 2);
  return [Math.max(...seen.slice(0, half)), Math.max(...seen.slice(half))];
}

async function overload(server: ServerProcess, bottleneck: Bottleneck, factor: number, seconds: number): Promise<Result> {
  const { port, pid } = server;
  const order = () => ({ order_id: nextId(), ...bottleneck.order });
  const { perSecond: peak, orders: peakOrders } = await peakOf(port, bottleneck);
  const memory = watchMemory(pid, seconds);
  const running = runPhase({ port, perSecond: factor * peak, seconds, order });
  await sleep(seconds * 1_000);
  // Not when all are answered: the next phase must meet what the overload has left.
  const after = await runPhase({ port, perSecond: AFTER_SHARE * peak, seconds: AFTER_SECONDS, order, settlingMs: BACK_TO_NORMAL_MS });
  const [firstHalfMiB, secondHalfMiB] = await memory;
  return { factor, peak, peakOrders, phase: await running, after, firstHalfMiB, secondHalfMiB };
}

function rowOf({ factor, peak, phase, after, firstHalfMiB, secondHalfMiB }: Result): string[] {
  return [
    `${factor} x`,
    peak.toFixed(1),
    phase.goodput.toFixed(1),
    String(phase.ok),
    String(failures(phase)),
    String(phase.refused),
    phase.okP99Ms.toFixed(0),
    phase.refusedP99Ms.toFixed(1),
    `${firstHalfMiB.toFixed(0)}, ${secondHalfMiB.toFixed(0)}`,
    String(after.refusedLate),
  ];
}

function targetsOf(name: string, result: Result): Target[] {
  const { factor, peak, phase, after, firstHalfMiB, secondHalfMiB } = result;
  const at = `${name}, ${factor} x`;
  return [
    atLeast(`${at}: goodput over the peak`, phase.goodput / peak, 0.9),
    atMost(`${at}: accepted orders that fail`, (100 * failures(phase)) / Math.max(1, phase.ok + failures(phase)), 1, " %"),
    atMost(`${at}: time to a refusal, p99`, phase.refusedP99Ms, 50, " ms"),
    atMost(`${at}: broken connections`, phase.broken, 0),
    atMost(`${at}: memory, second half over first half`, secondHalfMiB / firstHalfMiB, 1.15),
    atMost(`${at}: refused or failed at half the peak, from 2 s after`, after.refusedLate + failures(after), 0),
  ];
}

/** Steps that ran and belong to no order that was accepted. A failed order may have run three and compensated three. */
async function stepsOfRefused(server: ServerProcess, results: readonly Result[]): Promise<number> {
  const { started } = await settledCounters(server.adminUrl);
  const phases = results.flatMap(({ phase, after }) => [phase, after]);
  const allowed = phases.reduce((sum, phase) => sum + STEPS.length * phase.ok + 2 * STEPS.length * failures(phase), 0);
  const atPeaks = results.reduce((sum, { peakOrders }) => sum + STEPS.length * peakOrders, 0);
  return Math.max(0, started - allowed - atPeaks);
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 30, cpu: 40 });
  if (options === undefined) return [];
  const threads = availableParallelism();
  const bottlenecks: readonly Bottleneck[] = [
    { name: "couriers", atATime: 14, order: { amount: 1200 } },
    {
      name: "processor",
      atATime: 2 * threads,
      order: { amount: 1200, delay_ms: { payment: 0, courier: 0 }, cpu_ms: { vendor: options.cpu } },
    },
  ];
  const targets: Target[] = [];
  for (const bottleneck of bottlenecks) {
    const directory = mkdtempSync(join(tmpdir(), "overload-"));
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    await using server = await ServerProcess.start({ JOURNAL: join(directory, "orders.db") });
    const results: Result[] = [];
    for (const factor of FACTORS) results.push(await overload(server, bottleneck, factor, options.seconds));
    const head = ["peak/s", "goodput/s", "ok", "failed", "refused", "ok p99 ms", "refused p99 ms", "MiB", "refused late"];
    process.stdout.write(`${table([bottleneck.name, ...head], results.map(rowOf))}\n`);
    targets.push(...results.flatMap((result) => targetsOf(bottleneck.name, result)));
    targets.push(atMost(`${bottleneck.name}: steps run for refused orders`, await stepsOfRefused(server, results), 0));
  }
  return targets;
});
