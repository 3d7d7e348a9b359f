/** A span of time and the calls that went well in it. */
interface Span {
  readonly untilMs: number;
  count: number;
  fastestMs: number;
  slowestMs: number;
}

// Long enough for many calls, short enough that a provider which became faster is believed soon. Two spans are looked at.
const SPAN_MS = 10_000;
// Fewer say too little of how fast a call can be.
const ENOUGH = 20;

/** How long the calls of one provider that went well took lately: in the last 10 to 20 seconds. Main thread only. */
export class CallTimes {
  #now: Span = emptyUntil(0);
  #before: Span = emptyUntil(0);

  /** A call went well in `tookMs`. `nowMs` on a clock that never goes back, here and below. */
  note(tookMs: number, nowMs: number): void {
    this.#turn(nowMs);
    const span = this.#now;
    span.count++;
    if (tookMs < span.fastestMs) span.fastestMs = tookMs;
    if (tookMs > span.slowestMs) span.slowestMs = tookMs;
  }

  /** No call took less; 0 where too few are known. */
  fastestMs(nowMs: number): number {
    this.#turn(nowMs);
    if (this.#now.count + this.#before.count < ENOUGH) return 0;
    return Math.min(this.#now.fastestMs, this.#before.fastestMs);
  }

  /** No call took more; 0 where none is known. */
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
