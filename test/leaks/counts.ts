import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import type { StepName } from "../../src/orders/steps.ts";
import type { Capacity, Threads } from "../../src/threads/index.ts";
import { timers } from "./timers.ts";

export type Capacities = Readonly<Record<StepName, Capacity>>;

/** Everything that an order could leave behind in this process. */
export interface Counts {
  /** Undefined where the system does not report it. */
  readonly osThreads: number | undefined;
  readonly threads: number;
  readonly running: number;
  /** Steps ever started and not finished, by the threads' own counters. */
  readonly unfinished: number;
  readonly groups: number;
  readonly unsettled: number;
  readonly exclusivePermits: number;
  readonly exclusiveWaiting: number;
  readonly watchedGroups: number;
  readonly permits: number;
  readonly waiting: number;
  readonly timers: number;
}

export function countOf(stepThreads: Pick<Threads, "statistics" | "counters">, capacities: Capacities): Counts {
  const { running, started, finished, threads } = stepThreads.statistics();
  const all = Object.values(capacities);
  return {
    osThreads: osThreads(),
    threads: threads.length,
    running,
    unfinished: started - finished,
    ...stepThreads.counters(),
    permits: all.reduce((sum, { inUse }) => sum + inUse, 0),
    waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
    timers: timers(),
  };
}

/** Without threads, which take their time to start and to go, and timers. */
export function countersOf<All extends Counts>({ osThreads: _osThreads, threads: _threads, timers: _timers, ...counters }: All) {
  return counters;
}

/** What is counted before anything runs, which is what must be counted after. */
export async function countAtRest(stepThreads: Pick<Threads, "statistics" | "counters">, capacities: Capacities): Promise<Counts> {
  await settleProcess();
  const counts = countOf(stepThreads, capacities);
  expect(counts.threads).toBeGreaterThan(0);
  for (const count of Object.values(countersOf(counts))) expect(count).toBe(0);
  return counts;
}

export function osThreads(): number | undefined {
  return process.platform === "linux" ? readdirSync("/proc/self/task").length : undefined;
}

/** Opens the pool of threads for files, which is made at its first use and stays. */
export async function settleProcess(): Promise<void> {
  await Promise.all([1, 2, 3, 4].map(() => readFile(import.meta.filename)));
}
