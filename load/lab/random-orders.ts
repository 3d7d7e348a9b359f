import type { OutgoingHttpHeaders } from "node:http";
import { openLoop } from "../open-loop.ts";
import { orderIds } from "../order-ids.ts";

/** Orders that come at random moments, as of clients who know nothing of each other: so many per second on average. `random`: in [0, 1). */
export function poisson<Order extends object>(
  random: () => number,
  perSecond: number,
  seconds: number,
  order: () => Order,
): (Order & { readonly atMs: number })[] {
  const arrivals: (Order & { readonly atMs: number })[] = [];
  const gapMs = (): number => (-Math.log(1 - random()) * 1_000) / perSecond;
  for (let atMs = gapMs(); atMs < seconds * 1_000; atMs += gapMs()) arrivals.push({ atMs, ...order() });
  return arrivals;
}

interface IdealLine {
  /** How many are served at one time. */
  readonly limit: number;
  /** From its arrival until an order is given up. */
  readonly timeoutMs: number;
  /** The longest wait. By default what the deadline leaves beside the order's own hold. */
  readonly roomMs?: number;
}

/**
 * When orders (the earliest first) would be done by the best that can be: a line that knows how long each of them will hold its place, and
 * refuses exactly those that would wait for longer than `roomMs`. Those that are not done in time are left out.
 */
export function idealLine(
  arrivals: readonly { readonly atMs: number; readonly holdMs: number }[],
  { limit, timeoutMs, roomMs }: IdealLine,
): number[] {
  const freeAtMs: number[] = Array(limit).fill(0);
  const doneAtMs: number[] = [];
  for (const { atMs, holdMs } of arrivals) {
    let first = 0;
    for (let each = 1; each < limit; each++) if ((freeAtMs[each] as number) < (freeAtMs[first] as number)) first = each;
    const startMs = Math.max(atMs, freeAtMs[first] as number);
    if (startMs - atMs > (roomMs ?? timeoutMs - holdMs)) continue;
    freeAtMs[first] = startMs + Math.min(holdMs, atMs + timeoutMs - startMs);
    if (startMs + holdMs <= atMs + timeoutMs) doneAtMs.push(startMs + holdMs);
  }
  return doneAtMs;
}

/** What became of one order. */
export interface Ended {
  /** Refused is who was told so before a step ran; failed is who was accepted and not placed. */
  readonly end: "placed" | "failed" | "refused";
  /** Its place among the arrivals, 0 first. */
  readonly n: number;
  /** From the start of the phase until the answer. */
  readonly doneMs: number;
  readonly latencyMs: number;
}

const nextId = orderIds();

/** Sends orders when they are due; resolves when all are answered. Throws when a connection broke. */
export async function sendOrders(
  port: number,
  arrivalsMs: readonly number[],
  order: object,
  headers?: (n: number) => OutgoingHttpHeaders,
): Promise<readonly Ended[]> {
  const ended: Ended[] = [];
  const { broken } = await openLoop({
    port,
    arrivalsMs,
    order: () => ({ order_id: nextId(), ...order }),
    ...(headers !== undefined && { headers }),
    onAnswer: (n, status, body, latencyMs) => {
      ended.push({ end: status === 200 ? "placed" : endOf(body), n, doneMs: (arrivalsMs[n] ?? 0) + latencyMs, latencyMs });
    },
  });
  if (broken > 0) throw new Error(`${broken} connections broke`);
  return ended;
}

function endOf(body: string): "failed" | "refused" {
  const { steps, error } = JSON.parse(body) as { steps?: unknown; error: { kind: string } };
  return steps === undefined && error.kind === "overloaded" ? "refused" : "failed";
}
