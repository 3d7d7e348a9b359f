import type { EndedOrder } from "../../orders/ended-order.ts";
import type { EndedAs, Quantiles, SampledOrder, SampledStep } from "./messages.ts";

// A page can draw, and a person can follow, some eighty bars every quarter of a second. Failures have a share of their own.
const MAX_OK = 20;
const MAX_FAILED = 20;
// More than the steps that run for long in the last seconds, of both pools.
const MAX_EXPECTED = 256;
// Enough for the p99 of a quarter of a second. Where more orders ended, the quantiles are those of the first ones.
const MAX_TIMES = 4_096;

/** The orders that ended since the last tick: all are counted, some are shown. */
export class OrderSample {
  readonly #random: () => number;
  #counts: Partial<Record<EndedAs, number>> = {};
  #ok = new Reservoir<EndedOrder>(MAX_OK);
  #failed = new Reservoir<EndedOrder>(MAX_FAILED);
  /** Orders that are shown however many end. */
  readonly #expected = new Set<string>();
  #awaited: EndedOrder[] = [];
  readonly #orderMs = new Times();
  readonly #cancelMs = new Times();

  /** `random`: from 0 up to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Has an order shown when it ends, because one of its steps was shown while it ran. */
  expect(orderId: string): void {
    this.#expected.add(orderId);
    for (const oldest of this.#expected) {
      if (this.#expected.size <= MAX_EXPECTED) break;
      this.#expected.delete(oldest);
    }
  }

  add(order: EndedOrder): void {
    const { outcome, storedAtMs } = order;
    const { error, canceled } = outcome;
    const kind = error ?? "ok";
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    this.#orderMs.add(storedAtMs - outcome.startedAtMs);
    if (canceled !== undefined) {
      for (const { outcome: how, endedAtMs, startedAtMs } of outcome.steps) {
        if (how.status === "canceled" && startedAtMs !== undefined) this.#cancelMs.add(Math.max(0, endedAtMs - canceled.atMs));
      }
    }
    if (this.#expected.size > 0 && this.#expected.delete(order.input.orderId)) this.#awaited.push(order);
    else (error === undefined ? this.#ok : this.#failed).offer(order, this.#random);
  }

  /** Returns the sample and begins a new one. `left` orders are counted but not among `orders`. */
  take() {
    const shown = [...this.#awaited, ...this.#failed.kept, ...this.#ok.kept].sort((a, b) => a.storedAtMs - b.storedAtMs);
    const taken = {
      ended: this.#counts,
      orders: shown.map(sampled),
      left: this.#ok.offered + this.#failed.offered + this.#awaited.length - shown.length,
      order_ms: this.#orderMs.take(),
      cancel_ms: this.#cancelMs.take(),
    };
    this.#counts = {};
    this.#awaited = [];
    this.#ok = new Reservoir(MAX_OK);
    this.#failed = new Reservoir(MAX_FAILED);
    return taken;
  }
}

/** Keeps `size` of the offered items, each with the same chance (Vitter's algorithm R), so that they are from the whole time. */
class Reservoir<Item> {
  readonly kept: Item[] = [];
  offered = 0;
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  offer(item: Item, random: () => number): void {
    this.offered++;
    if (this.kept.length < this.#size) {
      this.kept.push(item);
      return;
    }
    const place = Math.floor(random() * this.offered);
    if (place < this.#size) this.kept[place] = item;
  }
}

class Times {
  readonly #ms = new Float64Array(MAX_TIMES);
  #count = 0;

  add(ms: number): void {
    if (this.#count < MAX_TIMES) this.#ms[this.#count++] = ms;
  }

  take(): Quantiles | null {
    if (this.#count === 0) return null;
    const sorted = this.#ms.subarray(0, this.#count).toSorted();
    const at = (q: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number);
    this.#count = 0;
    return { p50: at(0.5), p99: at(0.99) };
  }
}

function sampled({ input, outcome, storedAtMs, compensations }: EndedOrder): SampledOrder {
  const { canceled } = outcome;
  return {
    id: input.orderId,
    attempt: input.attempt,
    kind: outcome.error ?? "ok",
    started: round(outcome.startedAtMs),
    stored: round(storedAtMs),
    ...(canceled !== undefined && { canceled: [canceled.cause, round(canceled.atMs)] as const }),
    steps: outcome.steps.map(({ name, outcome: how, threadId, startedAtMs, endedAtMs }): SampledStep => {
      const compensation = compensations.find(({ step }) => step === name);
      return [
        how.status,
        threadId ?? null,
        startedAtMs === undefined ? null : round(startedAtMs),
        round(endedAtMs),
        compensation === undefined ? null : compensation.done ? "done" : "pending",
      ];
    }),
  };
}

/** To a microsecond, the precision of the clock. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
