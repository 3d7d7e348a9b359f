import type { OutgoingHttpHeaders } from "node:http";
import { openLoop } from "../open-loop.ts";
import { orderIds } from "../order-ids.ts";

export interface PhaseOptions {
  readonly port: number;
  /** When each order is due, in milliseconds from the start. */
  readonly arrivalsMs: readonly number[];
  /** An order without its id. */
  readonly order: object;
  /** Further headers of the n-th order. */
  readonly headers?: (n: number) => OutgoingHttpHeaders;
  /** Called with each answer. */
  readonly onAnswer?: () => void;
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

export interface Phase {
  readonly ended: readonly Ended[];
  readonly broken: number;
  /** By how much each order was sent late. */
  readonly lateMs: readonly number[];
}

const nextId = orderIds();

/** Sends orders when they are due; resolves when all are answered. */
export async function runPhase({ port, arrivalsMs, order, headers, onAnswer }: PhaseOptions): Promise<Phase> {
  const ended: Ended[] = [];
  const { broken, lateMs } = await openLoop({
    port,
    arrivalsMs,
    order: () => ({ order_id: nextId(), ...order }),
    ...(headers !== undefined && { headers }),
    onAnswer: (n, status, body, latencyMs) => {
      onAnswer?.();
      const doneMs = (arrivalsMs[n] ?? 0) + latencyMs;
      ended.push({ end: status === 200 ? "placed" : endOf(body), n, doneMs, latencyMs });
    },
  });
  return { ended, broken, lateMs };
}

function endOf(body: string): "failed" | "refused" {
  const { steps, error } = JSON.parse(body) as { steps?: unknown; error: { kind: string } };
  return steps === undefined && error.kind === "overloaded" ? "refused" : "failed";
}
