import type { Clock } from "../../src/threads/index.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only when a test says so. Begins at the real time, because receivers refuse old timestamps. */
export class FakeClock implements Clock {
  /** The delays that were asked for, in order. */
  readonly asked: number[] = [];
  readonly #timers = new Set<Timer>();
  /** What timers follow. */
  #nowMs = Date.now();
  #aheadMs = 0;

  nowMs(): number {
    return this.#nowMs + this.#aheadMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    if (!(delayMs >= 0 && delayMs <= 2_147_483_647)) throw new RangeError(`no timer takes ${delayMs} ms`);
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.asked.push(delayMs);
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Sets the wall clock, forwards or back. Timers do not follow it. */
  jump(ms: number): void {
    this.#aheadMs += ms;
  }

  /** Milliseconds that have passed, on a clock that never jumps. */
  get passedMs(): number {
    return this.#nowMs;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Until the next timer, undefined without one. */
  get nextMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.atMs - this.#nowMs;
  }

  /** Lets time pass and calls back what comes due on the way, in order. */
  advance(delayMs: number): void {
    const endMs = this.#nowMs + delayMs;
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#nowMs = next.atMs;
      this.#timers.delete(next);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer;
    return next;
  }
}
