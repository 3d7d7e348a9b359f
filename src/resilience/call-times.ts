interface Span {
  readonly untilMs: number;
  count: number;
  fastestMs: number;
  slowestMs: number;
}

// Long enough for many calls, short enough that a provider which became faster is noticed soon. Two spans count.
const SPAN_MS = 10_000;
// Fewer calls do not show how fast a call can be.
const ENOUGH = 20;

/** How long the successful calls of one provider took in the last 10 to 20 seconds. Main thread only. */
export class CallTimes {
  #now: Span = emptyUntil(0);
  #before: Span = emptyUntil(0);

  /** A call succeeded in `tookMs`. `nowMs` is on a clock that never goes back, here and below. */
  note(tookMs: number, nowMs: number): void {
    this.#turn(nowMs);
    const span = this.#now;
    span.count++;
    if (tookMs < span.fastestMs) span.fastestMs = tookMs;
    if (tookMs > span.slowestMs) span.slowestMs = tookMs;
  }

  /** The shortest call; 0 when too few calls are known. */
  fastestMs(nowMs: number): number {
    this.#turn(nowMs);
    if (this.#now.count + this.#before.count < ENOUGH) return 0;
    return Math.min(this.#now.fastestMs, this.#before.fastestMs);
  }

  /** The longest call; 0 when none is known. */
  slowestMs(nowMs: number): number {
    this.#turn(nowMs);
    return Math.max(this.#now.slowestMs, this.#before.slowestMs);
  }

  #turn(nowMs: number): void {
    if (nowMs < this.#now.untilMs) return;
    const isNext = nowMs < this.#now.untilMs + SPAN_MS;
    this.#before = isNext ? this.#now : emptyUntil(0);
    this.#now = emptyUntil(nowMs + SPAN_MS);
  }
}

function emptyUntil(untilMs: number): Span {
  return { untilMs, count: 0, fastestMs: Number.POSITIVE_INFINITY, slowestMs: 0 };
}
