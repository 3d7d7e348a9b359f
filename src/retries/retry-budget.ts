// A fifth more calls than orders, as in Finagle: an ill provider is not kept ill by those who want it to be well.
const CALLS_PER_RETRY = 5;
// So many retries at most are saved up while all is well: a blip is retried whole, an outage is not.
const MAX_SAVED = 10;

/**
 * How many retries there may be: a token bucket that first calls fill and retries empty. It begins empty, so at any time there have
 * been at most 1.2 times as many calls as first calls. One for each provider. Main thread only.
 */
export class RetryBudget {
  // In fifths of a retry: whole numbers add up exactly.
  #saved = 0;

  /** A first call is made. */
  deposit(): void {
    if (this.#saved < MAX_SAVED * CALLS_PER_RETRY) this.#saved++;
  }

  /** Takes one retry. False when there is none. */
  withdraw(): boolean {
    if (this.#saved < CALLS_PER_RETRY) return false;
    this.#saved -= CALLS_PER_RETRY;
    return true;
  }
}
