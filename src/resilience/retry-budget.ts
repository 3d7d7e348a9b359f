// Retries add a fifth to the calls at most, as in Finagle: more would keep a failing provider from recovering.
const CALLS_PER_RETRY = 5;
// Enough saved retries for a short fault, too few for an outage.
const MAX_SAVED = 10;

/** A token bucket that first calls fill and retries empty. It begins empty, so there are never more than 1.2 times the first calls. */
export class RetryBudget {
  // In fifths of a retry, because whole numbers add up exactly.
  #saved = 0;

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
