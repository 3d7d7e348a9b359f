import type { SpanData } from "../orders/span-data.ts";
import { atMost } from "../threads/index.ts";

/** Sends spans to a collector. Rejects when they did not arrive and are lost. */
export type SendSpans = (spans: readonly SpanData[]) => Promise<void>;

export interface SpanQueueOptions {
  readonly send: SendSpans;
  /**
   * Called when spans begin to be lost, with the error of a batch, or without one where the collector is too slow; and when all that waited
   * has arrived after that.
   */
  readonly onDown: (down: boolean, error?: unknown) => void;
  /** How long spans may wait for a fuller batch; half a second where absent. */
  readonly delayMs?: number;
}

// The limit of the queue: a second of a thousand orders with seven spans each, at half a kilobyte a span.
const MAX_WAITING = 8_192;
// The main thread writes a batch as JSON, some microseconds a span: a batch of this size takes it about a millisecond.
const BATCH = 128;
const DELAY_MS = 500;

/**
 * Sends spans to the collector, one batch after the other. One that is down or slow costs spans and nothing else: what does not fit in is
 * dropped and counted.
 *
 * Rejected: the SDK's batch processor. It does not report what it dropped; a flush has no time limit, and sends all batches at one time, of
 * which the exporter refuses all but 30: of a full queue half is lost.
 */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  #waiting: SpanData[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** The batch under way: whether it arrived. */
  #sending: Promise<boolean> | undefined;
  /** Spans of the batch under way. */
  #underWay = 0;
  #down = false;
  #closed = false;
  /** `close` has given up the batch under way and counted it as dropped. */
  #gaveUp = false;
  #dropped = 0;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  /** How many spans were dropped or lost. */
  get dropped(): number {
    return this.#dropped;
  }

  /** How many spans wait. */
  get size(): number {
    return this.#waiting.length;
  }

  add(spans: readonly SpanData[]): void {
    for (const span of spans) {
      const hasRoom = this.#waiting.length < MAX_WAITING;
      if (hasRoom && !this.#closed) this.#waiting.push(span);
      else this.#dropped++;
      if (!hasRoom) this.#report(true);
    }
    if (this.#waiting.length >= BATCH) this.#send();
    else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), this.#options.delayMs ?? DELAY_MS).unref();
  }

  /** Sends the waiting spans within `timeoutMs`, and drops the others and all later ones. Returns how many waiting spans were dropped. */
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
      const arrived = await this.#sending;
      // The collector is down: the next batch would be lost, too.
      if (!arrived || this.#gaveUp) return;
    }
  }

  #send(): void {
    // Before the return: while a fired timer stays in the field, `add` sets no other.
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, BATCH);
    this.#underWay = batch.length;
    this.#sending = this.#options.send(batch).then(
      () => this.#ended(0),
      (error: unknown) => this.#ended(batch.length, error),
    );
  }

  /** Returns whether the batch arrived. */
  #ended(lost: number, error?: unknown): boolean {
    if (this.#gaveUp) return false;
    this.#dropped += lost;
    if (lost > 0) this.#report(true, error);
    // Not after each batch that a slow collector has taken.
    else if (this.#waiting.length < BATCH) this.#report(false);
    this.#sending = undefined;
    this.#underWay = 0;
    this.add([]);
    return lost === 0;
  }

  #report(down: boolean, error?: unknown): void {
    if (this.#down !== down) this.#options.onDown(down, error);
    this.#down = down;
  }
}
