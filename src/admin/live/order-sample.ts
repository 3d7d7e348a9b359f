import type { CancelCause } from "../../concurrency/cancel-cause.ts";
import type { EndedOrder } from "../../orders/ended-order.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { StepOutcome } from "../../orders/step.ts";

/** One step as the page draws it: how it ended, on which thread, from when to when (`monotonicMs`). */
export type SampledStep = readonly [status: StepOutcome["status"], thread: number | null, startedAtMs: number | null, endedAtMs: number];

/** One order as the page draws it. */
export interface SampledOrder {
  readonly id: string;
  readonly attempt: number;
  readonly kind: ErrorKind | "ok";
  readonly started: number;
  readonly stored: number;
  readonly canceled?: readonly [cause: CancelCause, atMs: number];
  /** In the order of `STEPS`. */
  readonly steps: readonly SampledStep[];
}

// What a page can draw and somebody can look at: eighty bars every quarter of a second. Failures are rarer and say more.
const MAX_OK = 20;
const MAX_FAILED = 20;
// Enough for a p99 of a quarter of a second; where more ended than this, it is that of the first ones.
const MAX_TIMES = 4_096;

/** What ended since the page was last told: all of it counted, some of it shown. Main thread only. */
export class OrderSample {
  #counts: Partial<Record<ErrorKind | "ok", number>> = {};
  #orders: SampledOrder[] = [];
  #ok = 0;
  #left = 0;
  readonly #orderMs = new Float64Array(MAX_TIMES);
  #timed = 0;
  #cancelMs: number[] = [];

  add({ input, outcome, storedAtMs }: EndedOrder): void {
    const kind = outcome.error ?? "ok";
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    if (this.#timed < MAX_TIMES) this.#orderMs[this.#timed++] = storedAtMs - outcome.startedAtMs;
    const { canceled } = outcome;
    if (canceled !== undefined && this.#cancelMs.length < MAX_TIMES) {
      for (const { outcome: how, endedAtMs, startedAtMs } of outcome.steps) {
        if (how.status === "canceled" && startedAtMs !== undefined) this.#cancelMs.push(Math.max(0, endedAtMs - canceled.atMs));
      }
    }
    const isOk = kind === "ok";
    const shown = isOk ? this.#ok : this.#orders.length - this.#ok;
    if (shown >= (isOk ? MAX_OK : MAX_FAILED)) {
      this.#left++;
      return;
    }
    if (isOk) this.#ok++;
    this.#orders.push({
      id: input.orderId,
      attempt: input.attempt,
      kind,
      started: round(outcome.startedAtMs),
      stored: round(storedAtMs),
      ...(canceled !== undefined && { canceled: [canceled.cause, round(canceled.atMs)] as const }),
      steps: outcome.steps.map(({ outcome: how, threadId, startedAtMs, endedAtMs }) => [
        how.status,
        threadId ?? null,
        startedAtMs === undefined ? null : round(startedAtMs),
        round(endedAtMs),
      ]),
    });
  }

  /** What there is, and begins anew. `left` orders are counted but not among `orders`. */
  take() {
    const taken = {
      ended: this.#counts,
      orders: this.#orders,
      left: this.#left,
      order_ms: quantiles(this.#orderMs.subarray(0, this.#timed)),
      cancel_ms: quantiles(Float64Array.from(this.#cancelMs)),
    };
    this.#counts = {};
    this.#orders = [];
    this.#ok = this.#left = this.#timed = 0;
    this.#cancelMs = [];
    return taken;
  }
}

function quantiles(values: Float64Array): { readonly p50: number; readonly p99: number } | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted();
  const at = (q: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number);
  return { p50: at(0.5), p99: at(0.99) };
}

/** To a microsecond, which is what the clock is worth. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
