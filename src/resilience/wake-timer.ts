import type { Clock } from "../threads/index.ts";

/** Why a queue reads again: a row becomes due, rows were tried, or something failed. */
export type WakeReason = "due" | "tried" | "fault";

/** The timer for the next read of a retry queue. Main thread only. */
export class WakeTimer {
  readonly #clock: Clock;
  readonly #wake: () => void;
  #stop: (() => void) | undefined;
  #reason: WakeReason | undefined;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Undefined while the timer does not run. */
  get reason(): WakeReason | undefined {
    return this.#reason;
  }

  /** Restarts the timer. `delayMs`: 0 to 2^31-1. */
  start(delayMs: number, reason: WakeReason): void {
    this.stop();
    this.#reason = reason;
    this.#stop = this.#clock.after(delayMs, () => {
      this.#reason = undefined;
      this.#wake();
    });
  }

  stop(): void {
    this.#stop?.();
    this.#reason = undefined;
  }
}
