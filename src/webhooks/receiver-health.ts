import { type Growth, growingPauseMs } from "../concurrency/growing-pause.ts";
import type { DeliveryClock } from "./delivery-clock.ts";

export interface ReceiverHealthOptions {
  readonly maxRequests: number;
  readonly clock: DeliveryClock;
  readonly random: () => number;
  /** A pause is over: requests may start again. */
  readonly onResume: () => void;
}

/** What a failed request says about the receiver. */
export interface ReceiverFailure {
  /** Whether it counts as a sign that the receiver is down. */
  readonly counts: boolean;
  readonly overloaded: boolean;
  /** Asked for by the receiver on behalf of all requests. */
  readonly pauseMs: number;
}

// Fewer than the requests that go out at once, so that little follows the first volley into a dead receiver.
const DOWN_AFTER = 5;
// A restart of the receiver takes seconds; one probe a minute is no load for it, and costs a minute at most once it is back.
const DOWN_PAUSE: Growth = { baseMs: 5_000, capMs: 60_000 };

/**
 * How many requests the receiver can take now. Halved when it says that it has too much to do, one more for each success.
 * After several failures in a row, whatever the order, it is down: everything pauses, and one request at a time probes.
 */
export class ReceiverHealth {
  readonly #options: ReceiverHealthOptions;
  readonly #pauses = new Set<() => void>();
  #inFlight = 0;
  #allowance: number;
  #failuresInRow = 0;
  #probes = 0;
  // Requests that were under way when a pause began tell of the time before it: they must not lengthen it or end it.
  #epoch = 0;
  #closed = false;

  constructor(options: ReceiverHealthOptions) {
    this.#options = options;
    this.#allowance = options.maxRequests;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get down(): boolean {
    return this.#failuresInRow >= DOWN_AFTER;
  }

  get mayStart(): boolean {
    return this.#pauses.size === 0 && this.#inFlight < this.#allowance;
  }

  /** A request starts. Returns what to give to `end`. */
  begin(): number {
    this.#inFlight++;
    return this.#epoch;
  }

  /** A request has ended: well, with a failure, or (undefined) in a way that says nothing of the receiver. */
  end(epoch: number, outcome: "ok" | ReceiverFailure | undefined): void {
    this.#inFlight--;
    if (outcome === undefined) return;
    const current = epoch === this.#epoch;
    if (outcome === "ok") {
      if (current) this.#succeeded();
      return;
    }
    if (outcome.pauseMs > 0) this.#pause(outcome.pauseMs);
    if (!current) return;
    if (outcome.overloaded) this.#allowance = Math.max(1, Math.floor(this.#allowance / 2));
    if (outcome.counts) this.#failed();
  }

  /** Takes the timers down, for good. */
  close(): void {
    this.#closed = true;
    for (const stop of this.#pauses) stop();
    this.#pauses.clear();
  }

  #succeeded(): void {
    this.#failuresInRow = 0;
    this.#probes = 0;
    this.#allowance = Math.min(this.#options.maxRequests, this.#allowance + 1);
  }

  #failed(): void {
    this.#failuresInRow++;
    if (!this.down) return;
    this.#allowance = 1;
    this.#probes++;
    this.#pause(growingPauseMs(this.#probes, DOWN_PAUSE, this.#options.random));
  }

  /** Pauses may overlap; requests start again when the last of them is over. */
  #pause(pauseMs: number): void {
    this.#epoch++;
    if (this.#closed) return;
    const stop = this.#options.clock.after(pauseMs, () => {
      this.#pauses.delete(stop);
      if (this.#pauses.size === 0) this.#options.onResume();
    });
    this.#pauses.add(stop);
  }
}
