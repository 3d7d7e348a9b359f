// Waits up to this share of the deadline are nobody's trouble.
const TOLERATED_SHARE = 1 / 10;
// Or as long as twice what is waited for: an order may take three times as long as on an idle service.
const TOLERATED_HOLDS = 2;
// Enough that at first the deadline alone limits a line.
const WIDEST = 10;
// A quarter of a second more of a wait too long narrows it by a tenth at most (Gradient2 smooths by the same fifth), so that a burst, which
// is gone after a second, is let through, and a line that stays is not.
const SMOOTHING = 0.2;
const LEAST_GRADIENT = 0.5;
// From narrow to wide within less than two seconds of ten looks each.
const WIDENING = 1.2;

/**
 * How long lines may be for the time being, as a multiple of what is tolerated for good: wide while lines are short or come and
 * go, so that a burst finds room up to its deadline; narrow while a line stays, which helps nobody and costs everybody its
 * length.
 *
 * After the limiters of Netflix's concurrency-limits: narrowed by the gradient between the wait that is tolerated and the wait there
 * is, smoothed (Gradient2), and widened only while the limit is not what keeps the line short (Vegas, which steers by the length of
 * the queue). Those learn the wait from latencies, so that whatever is slow looks overloaded; here waits are known by themselves.
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

  /** A wait as a multiple of what is tolerated for good. */
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
