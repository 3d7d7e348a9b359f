// A client should not stay away for longer: the service may be idle by then.
const MOST_SECONDS = 30;
const SHARE_OF_NEW = 0.3;

/** When a refused client should retry: after so long that as many come as can be served, with jitter so that they do not come together. */
export class RetryAfter {
  readonly #random: () => number;
  #asked = 0;
  #refused = 0;
  #excess = 1;

  constructor(random: () => number) {
    this.#random = random;
  }

  asked(): void {
    this.#asked++;
  }

  /** Seconds, a whole number from 1 to 30. */
  refused(): number {
    this.#refused++;
    return Math.max(1, Math.min(MOST_SECONDS, Math.round(this.#excess * (0.5 + this.#random()))));
  }

  tick(): void {
    const admitted = this.#asked - this.#refused;
    const excess = this.#asked === 0 ? 1 : this.#asked / Math.max(1, admitted);
    this.#excess += (excess - this.#excess) * SHARE_OF_NEW;
    this.#asked = 0;
    this.#refused = 0;
  }
}
