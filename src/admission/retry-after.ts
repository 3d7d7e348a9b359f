// Longer than this nobody should stay away from a service that may be idle by then.
const MOST_SECONDS = 30;
const SHARE_OF_NEW = 0.3;

/**
 * When a refused client should come again. Where ten times as many ask as can be served, each comes again after about ten seconds, which
 * makes of those who come again as many as can be served; spread, or they would come all at one moment.
 */
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

  /** To be called ten times a second. */
  look(): void {
    const admitted = this.#asked - this.#refused;
    const excess = this.#asked === 0 ? 1 : this.#asked / Math.max(1, admitted);
    this.#excess += (excess - this.#excess) * SHARE_OF_NEW;
    this.#asked = 0;
    this.#refused = 0;
  }
}
