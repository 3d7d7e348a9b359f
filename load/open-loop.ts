import type { OutgoingHttpHeaders } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Requests } from "./requests.ts";

export interface OpenLoop {
  readonly port: number;
  /** When each order is due, in milliseconds from the start, the earliest first. */
  readonly arrivalsMs: readonly number[];
  /** The body of the n-th order, 0 first. */
  readonly order: (n: number) => object;
  /** Further headers of the n-th order. */
  readonly headers?: (n: number) => OutgoingHttpHeaders;
  /** What is called with each answer; its latency is that of `latenciesMs`. */
  readonly onAnswer?: (n: number, status: number, body: string, latencyMs: number) => void;
}

export interface OpenLoopResult {
  /** From the time when an order was due to be sent until its answer, so that a slow server does not hide its own delay. */
  readonly latenciesMs: readonly number[];
  /** By how much each order was sent late: what the latencies owe to this process. */
  readonly lateMs: readonly number[];
  readonly statuses: ReadonlyMap<number, number>;
  readonly broken: number;
}

/** For `OpenLoop`: as many orders per second, at equal distances. */
export function constantRate(perSecond: number, seconds: number): number[] {
  return Array.from({ length: Math.round(perSecond * seconds) }, (_, n) => (n * 1_000) / perSecond);
}

/** Sends orders when they are due, independent of earlier answers, and waits for all answers. */
export async function openLoop({ port, arrivalsMs, order, headers, onAnswer }: OpenLoop): Promise<OpenLoopResult> {
  const requests = new Requests(Number.POSITIVE_INFINITY);
  const latenciesMs: number[] = [];
  const lateMs: number[] = [];
  const statuses = new Map<number, number>();
  let broken = 0;
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  for (const [n, arrivalMs] of arrivalsMs.entries()) {
    const dueMs = startMs + arrivalMs;
    const early = dueMs - performance.now();
    if (early > 1) await sleep(early);
    const sentMs = performance.now();
    // It may be sent up to a millisecond early.
    const fromMs = Math.min(dueMs, sentMs);
    lateMs.push(sentMs - fromMs);
    sent.push(
      requests.send(port, { method: "POST", path: "/order", body: order(n), headers: headers?.(n) }).then(
        ({ status, text }) => {
          const latencyMs = performance.now() - fromMs;
          latenciesMs.push(latencyMs);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          onAnswer?.(n, status, text, latencyMs);
        },
        () => void broken++,
      ),
    );
  }
  await Promise.all(sent);
  requests.close();
  return { latenciesMs, lateMs, statuses, broken };
}
