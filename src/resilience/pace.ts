import type { Clock } from "../threads/index.ts";

// Short, so that few tries start together even at thousands a second. Long enough that the timer costs nothing.
const REFILL_MS = 20;

/** A token bucket for the tries of several queues. A timer refills it, not the wall clock, whose steps would flood or stop the queues. */
export class Pace {
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];
  readonly #refill: number;
  readonly #full: number;
  #tokens: number;
  #stopTimer: (() => void) | undefined;

  /** `maxPerSecond`: above 0. */
  constructor(maxPerSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#refill = (maxPerSecond * REFILL_MS) / 1_000;
    this.#full = this.#refill + 1;
    this.#tokens = this.#full;
  }

  /** Calls back whenever there are tokens again, each time with another listener first. Returns how to unsubscribe. */
  onRefill(listener: () => void): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Takes up to `max` tokens. Returns how many; after 0 `onRefill` says when to ask again. */
  take(max: number): number {
    const taken = Math.min(max, Math.floor(this.#tokens));
    this.#tokens -= taken;
    this.#refillLater();
    return taken;
  }

  giveBack(tokens: number): void {
    this.#tokens = Math.min(this.#full, this.#tokens + tokens);
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
