import type { Clock } from "../threads/index.ts";
import { backoffMs, PROBE_BACKOFF } from "./backoff.ts";

export interface OutageOptions {
  readonly clock: Clock;
  /** 0 to 1, for the jitter of pauses. */
  readonly random: () => number;
  /** It has begun (true) or is over (false). */
  readonly onChange?: (on: boolean) => void;
  /** A pause between two probes has ended. */
  readonly onProbe: () => void;
}

// Fewer than the calls that go out at once, so that few calls follow the first ones into a dead endpoint.
const BEGINS_AFTER = 5;

/** One kind of outage of an endpoint: begins after five signs in a row, ends with the first of the opposite, and is probed meanwhile. */
export class Outage {
  readonly #options: OutageOptions;
  #signs = 0;
  #probes = 0;
  #stopPause: (() => void) | undefined;
  #closed = false;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  get on(): boolean {
    return this.#signs >= BEGINS_AFTER;
  }

  /** Whether no probe may be made yet. */
  get paused(): boolean {
    return this.#stopPause !== undefined;
  }

  sign(): void {
    // Calls that were under way when the pause began must not lengthen it.
    if (this.paused) return;
    const wasOn = this.on;
    this.#signs++;
    if (!this.on) return;
    this.#probes++;
    this.#pause();
    if (!wasOn) this.#options.onChange?.(true);
  }

  end(): void {
    const wasOn = this.on;
    this.#signs = 0;
    this.#probes = 0;
    this.#endPause();
    if (wasOn) this.#options.onChange?.(false);
  }

  close(): void {
    this.#closed = true;
    this.#endPause();
  }

  #pause(): void {
    if (this.#closed) return;
    const { clock, random, onProbe } = this.#options;
    this.#stopPause = clock.after(backoffMs(this.#probes, PROBE_BACKOFF, random), () => {
      this.#stopPause = undefined;
      onProbe();
    });
  }

  #endPause(): void {
    this.#stopPause?.();
    this.#stopPause = undefined;
  }
}
