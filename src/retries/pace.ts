import type { Clock } from "../concurrency/clock.ts";

// Short, so that what starts together is little even at thousands a second; long enough that the timer costs nothing.
const REFILL_MS = 20;

/**
 * Tries a second at most, of one queue or of several together: a token bucket that holds what is refilled at once and one token
 * more, for the fraction that was left. It is refilled by a timer instead of from the clock, so a step of the wall clock neither
 * floods nor stops anything.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];
  readonly #refill: number;
  readonly #full: number;
  #tokens: number;
  #stopTimer: (() => void) | undefined;

  /** `maxPerSecond`: above 0; `Infinity` for no limit. */
  constructor(maxPerSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#refill = (maxPerSecond * REFILL_MS) / 1_000;
    this.#full = this.#refill + 1;
    this.#tokens = this.#full;
  }

  /** Calls back whenever there are tokens again. Of several listeners another one is the first each time. Returns how to end that. */
  onRefill(listener: () => void): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Takes one token. False when there is none: `onRefill` tells when to ask again. */
  take(): boolean {
    const taken = this.#tokens >= 1;
    if (taken) this.#tokens--;
    this.#refillLater();
    return taken;
  }

  close(): void {
    this.#stopTimer?.();
  }

  #refillLater(): void {
    if (this.#stopTimer !== undefined || this.#tokens === this.#full) return;
    this.#stopTimer = this.#clock.after(REFILL_MS, () => {
      this.#stopTimer = undefined;
      this.#tokens = Math.min(this.#full, this.#tokens + this.#refill);
      this.#refillLater();
      if (this.#tokens >= 1) this.#notify();
    });
  }

  #notify(): void {
    const first = this.#listeners.shift();
    if (first !== undefined) this.#listeners.push(first);
    for (const listener of [...this.#listeners]) listener();
  }
}
