import { MAX_ASKED_WAIT_MS } from "./backoff.ts";

// Of so many calls it is about the address; of fewer it is about those calls.
const ENOUGH = 3;

/** `Retry-After` holds back the call that it answers. Of three other calls in a row that are answered so the address is held. */
export class RetryAfters {
  #inRow = 0;
  /** When the first of them may come back. */
  #untilMs = 0;

  /** A call is asked to wait for `askedMs`, more than 0. Returns for how long the address wants no call at all, milliseconds; mostly 0. */
  note(askedMs: number, nowMs: number): number {
    const isFirst = this.#inRow === 0 || nowMs >= this.#untilMs;
    this.#inRow = isFirst ? 1 : this.#inRow + 1;
    this.#untilMs = isFirst ? nowMs + askedMs : Math.min(this.#untilMs, nowMs + askedMs);
    if (this.#inRow < ENOUGH) return 0;
    this.#inRow = 0;
    return Math.min(MAX_ASKED_WAIT_MS, askedMs);
  }

  forget(): void {
    this.#inRow = 0;
  }
}
