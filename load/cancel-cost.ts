import { setTimeout as pause } from "node:timers/promises";
import type { CancelCause } from "../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../src/orders/outcome.ts";
import { perStep } from "../src/orders/steps.ts";
import { CancelScope, monotonicMs } from "../src/threads/index.ts";
import { eventually } from "../test/support/eventually.ts";
import { PipelineInProcess } from "./pipeline-in-process.ts";
import { quantile } from "./quantile.ts";

const LONG_MS = 600_000;
const STEPS_AN_ORDER = 3;
const WARM_UP = 300;
const CANCELS = 500;
const ROUNDS = 2;
// Lets the threads fall idle between two cancels, so that none is measured behind another.
const PAUSE_MS = 3;
// Clearing thousands of orders at once on a busy machine may take its time; no thread is to be replaced for that here.
const GRACE_MS = 30_000;
const WAITS_LONG = { delayMs: perStep(() => LONG_MS) };

/** What the cancel of one order costs while so many are in flight. */
export interface CancelCost {
  readonly inFlight: number;
  /** How long `scope.cancel` holds the main thread. */
  readonly callMs: Quantiles;
  /** From the cancel until the order's last step has stopped. */
  readonly stopMs: Quantiles;
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

interface WaitingOrder {
  readonly scope: CancelScope;
  readonly outcome: Promise<OrderOutcome>;
}

export interface CancelCostOptions {
  readonly threads: number;
  readonly few: number;
  readonly many: number;
}

/** Measures the cancel of one order among few and among many, in turns. */
export async function cancelCosts({ threads, few, many }: CancelCostOptions): Promise<{ few: CancelCost; many: CancelCost }> {
  await using pipeline = await PipelineInProcess.start({ threads, cpuThreads: 1, orders: many, cancelGraceMs: GRACE_MS });
  const waiting: WaitingOrder[] = [];
  await fill(pipeline, waiting, few);
  await cancelSome(pipeline, waiting, WARM_UP);
  const samples = { few: [] as Sample[], many: [] as Sample[] };
  for (let round = 0; round < ROUNDS; round++) {
    samples.few.push(...(await cancelSome(pipeline, waiting, CANCELS)));
    await fill(pipeline, waiting, many);
    samples.many.push(...(await cancelSome(pipeline, waiting, CANCELS)));
    await empty(pipeline, waiting, few);
  }
  await empty(pipeline, waiting, 0);
  if (pipeline.threadsReplaced > 0)
    throw new Error(`${pipeline.threadsReplaced} threads were replaced: what was measured was not the cancel`);
  return { few: costOf(few, samples.few), many: costOf(many, samples.many) };
}

interface Sample {
  readonly callMs: number;
  readonly stopMs: number;
}

async function cancelSome(pipeline: PipelineInProcess, waiting: WaitingOrder[], cancels: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let n = 0; n < cancels; n++) {
    // The oldest goes and a new one comes: all of them take their turn, wherever they are stored.
    const order = waiting.shift();
    if (order === undefined) throw new Error("no order is waiting");
    const begin = monotonicMs();
    order.scope.cancel("client_disconnected");
    const called = monotonicMs();
    const { steps } = await order.outcome;
    samples.push({ callMs: called - begin, stopMs: Math.max(...steps.map(({ endedAtMs }) => endedAtMs)) - begin });
    waiting.push(place(pipeline));
    await pause(PAUSE_MS);
  }
  return samples;
}

function place(pipeline: PipelineInProcess): WaitingOrder {
  const scope = new CancelScope<CancelCause>();
  return { scope, outcome: pipeline.run(WAITS_LONG, scope) };
}

async function fill(pipeline: PipelineInProcess, waiting: WaitingOrder[], count: number): Promise<void> {
  while (waiting.length < count) waiting.push(place(pipeline));
  await eventually(`${count} orders run`, () => pipeline.stepsRunning === STEPS_AN_ORDER * count);
}

async function empty(pipeline: PipelineInProcess, waiting: WaitingOrder[], count: number): Promise<void> {
  const gone = waiting.splice(count);
  for (const { scope } of gone) scope.cancel("client_disconnected");
  await Promise.all(gone.map(({ outcome }) => outcome));
  await eventually(`${count} orders are left`, () => pipeline.stepsRunning === STEPS_AN_ORDER * count);
}

function costOf(inFlight: number, samples: readonly Sample[]): CancelCost {
  const quantiles = (values: readonly number[]): Quantiles => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });
  return {
    inFlight,
    callMs: quantiles(samples.map(({ callMs }) => callMs)),
    stopMs: quantiles(samples.map(({ stopMs }) => stopMs)),
  };
}
