// Waits up to this share of the deadline are always tolerated.
const TOLERATED_SHARE = 1 / 10;
// Or waits up to twice the hold time: an order may take three times as long as on an idle service.
const TOLERATED_HOLDS = 2;
// Wide enough that at first the deadline alone limits a queue.
const WIDEST = 10;
// Each look narrows by a tenth at most (Gradient2 smooths by the same fifth). So a burst that is gone after a second is admitted, and a
// queue that stays is shortened.
const SMOOTHING = 0.2;
const LEAST_GRADIENT = 0.5;
// From narrow to wide within less than two seconds of ten looks each.
const WIDENING = 1.2;

/**
 * The queue length that is permitted now, as a multiple of the length that is always tolerated. Wide while queues are short or drain, so
 * that a burst finds room up to its deadline. Narrow while a queue stays, because a standing queue only adds latency.
 *
 * After the limiters of Netflix's concurrency-limits: narrowed by the smoothed gradient between the tolerated and the actual wait
 * (Gradient2), widened only while the limit is not what keeps the queue short (Vegas). Those limiters learn the wait from latencies, so a
 * slow dependency looks like overload; here the wait itself is known.
 */
export class Tolerance {
  readonly #timeoutMs: number;
  #width = WIDEST;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The longest wait to be permitted now for something that takes `holdMs`; 0 for the journal and the event loop. */
  permittedMs(holdMs: number): number {
    return this.#width * this.#toleratedMs(holdMs);
  }

  /** A wait as a multiple of the one that is always tolerated. */
  pressure(waitMs: number, holdMs: number): number {
    return waitMs / this.#toleratedMs(holdMs);
  }

  /** To be called ten times a second with the highest pressure there is. */
  look(pressure: number): void {
    if (pressure > 1) {
      const gradient = Math.max(LEAST_GRADIENT, 1 / pressure);
      this.#width = Math.max(1, this.#width * (1 - SMOOTHING + SMOOTHING * gradient));
    } else if (pressure < this.#width / 2) {
      this.#width = Math.min(WIDEST, this.#width * WIDENING);
    }
  }

  #toleratedMs(holdMs: number): number {
    return Math.max(this.#timeoutMs * TOLERATED_SHARE, TOLERATED_HOLDS * holdMs);
  }
}
