import { atMost } from "../concurrency/at-most.ts";
import type { SpanData } from "../orders/span-data.ts";

/** Sends spans to a collector. Rejects when they did not arrive; then they are lost. */
export type SendSpans = (spans: readonly SpanData[]) => Promise<void>;

export interface SpanQueueOptions {
  readonly send: SendSpans;
  /** The first batch was lost, or the first one since has arrived. */
  readonly onDown: (down: boolean, error: unknown) => void;
  /** How long spans may wait for others to travel with, half a second unless told. */
  readonly delayMs?: number;
}

// What waits while the collector is slow: a second of a thousand orders with seven spans each, at half a kilobyte a span.
const MAX_WAITING = 8_192;
// A batch is written as JSON on the main thread, some microseconds a span: so many keep it for about a millisecond.
const BATCH = 128;
const DELAY_MS = 500;

/**
 * Spans on their way to the collector, in batches one after the other. A collector that is down or slow costs no more than spans: those
 * that do not fit in are dropped and counted. Main thread only.
 *
 * Rejected: the SDK's own batch processor. It does not say what it dropped, sends all it has at one time when it is flushed, and its
 * flush cannot be bounded.
 */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  #waiting: SpanData[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<unknown> | undefined;
  /** Spans of the batch that is being sent. */
  #underWay = 0;
  #down = false;
  #closed = false;
  /** Nobody wants to know any more what becomes of the last batch. */
  #gaveUp = false;
  #dropped = 0;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  /** Spans that did not arrive, or were not sent. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Spans that wait. */
  get size(): number {
    return this.#waiting.length;
  }

  add(spans: readonly SpanData[]): void {
    for (const span of spans) {
      if (this.#closed || this.#waiting.length >= MAX_WAITING) this.#dropped++;
      else this.#waiting.push(span);
    }
    if (this.#waiting.length >= BATCH) this.#send();
    else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), this.#options.delayMs ?? DELAY_MS).unref();
  }

  /** Sends what waits, for so long; what has not arrived by then is dropped, as is what comes later. Gives how many were dropped here. */
  async close(timeoutMs: number): Promise<number> {
    this.#closed = true;
    await atMost(this.#sendAll(), timeoutMs);
    clearTimeout(this.#timer);
    this.#gaveUp = true;
    const left = this.#waiting.length + this.#underWay;
    this.#dropped += left;
    this.#waiting = [];
    return left;
  }

  async #sendAll(): Promise<void> {
    for (;;) {
      this.#send();
      if (this.#sending === undefined) return;
      await this.#sending;
      // With a collector that is down each further batch would only be lost by itself.
      if (this.#down || this.#gaveUp) return;
    }
  }

  #send(): void {
    // First of all: a timer that has fired while a batch was under way would keep another from being set.
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, BATCH);
    this.#underWay = batch.length;
    this.#sending = this.#options.send(batch).then(
      () => this.#gaveUp || this.#sent(),
      (error: unknown) => this.#gaveUp || this.#lost(batch.length, error),
    );
  }

  #sent(): void {
    if (this.#down) this.#options.onDown(false, undefined);
    this.#down = false;
    this.#next();
  }

  #lost(spans: number, error: unknown): void {
    this.#dropped += spans;
    if (!this.#down) this.#options.onDown(true, error);
    this.#down = true;
    this.#next();
  }

  #next(): void {
    this.#sending = undefined;
    this.#underWay = 0;
    this.add([]);
  }
}
