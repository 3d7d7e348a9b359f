import { setTimeout as pause } from "node:timers/promises";

const SETTLE_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** The part of `GET /debug/threads` that has to balance. */
export interface ThreadCounters {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly orders_in_flight: number;
  readonly replaced: number;
  readonly threads: readonly unknown[];
}

export async function readCounters(adminUrl: string): Promise<ThreadCounters> {
  const response = await fetch(`${adminUrl}/debug/threads`);
  if (!response.ok) throw new Error(`GET /debug/threads answered ${response.status}`);
  return (await response.json()) as ThreadCounters;
}

/**
 * The counters after the load. At its end autocannon hangs up on the orders in flight, which have to be canceled first: the counters get
 * some seconds to balance.
 */
export async function settledCounters(adminUrl: string): Promise<ThreadCounters> {
  const end = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const counters = await readCounters(adminUrl);
    if (leaksOf(counters).length === 0 || performance.now() > end) return counters;
    await pause(LOOK_EVERY_MS);
  }
}

/** Describes each leak; empty when the counters balance. */
export function leaksOf(counters: ThreadCounters): string[] {
  const leaks: string[] = [];
  if (counters.running !== 0) leaks.push(`${counters.running} steps still running`);
  if (counters.started !== counters.finished) leaks.push(`${counters.started} steps started, ${counters.finished} finished`);
  if (counters.orders_in_flight !== 0) leaks.push(`${counters.orders_in_flight} orders still in flight`);
  return leaks;
}
