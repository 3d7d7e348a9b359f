/**
 * How long orders wait for the journal and the event loop, from admission until they are stored. One order at a time is timed: the journal
 * answers in the order of the requests, so a count of the answers shows when it is back.
 */
export class Turnaround {
  #asked = 0;
  #back = 0;
  #timed: { readonly number: number; readonly sinceMs: number } | undefined;
  #longestMs = 0;

  /** An order goes to the journal. */
  left(nowMs: () => number): void {
    this.#asked++;
    this.#timed ??= { number: this.#asked, sinceMs: nowMs() };
  }

  /** One is back. */
  returned(nowMs: () => number): void {
    this.#back++;
    if (this.#timed === undefined || this.#back < this.#timed.number) return;
    this.#longestMs = Math.max(this.#longestMs, nowMs() - this.#timed.sinceMs);
    this.#timed = undefined;
  }

  /** The longest wait since the last tick. An order under way counts with its wait so far. */
  tick(nowMs: number): number {
    const longestMs = Math.max(this.#longestMs, this.#timed === undefined ? 0 : nowMs - this.#timed.sinceMs);
    this.#longestMs = 0;
    return longestMs;
  }
}
