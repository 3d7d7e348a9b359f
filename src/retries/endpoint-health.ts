import type { Clock } from "../threads/index.ts";
import { backoffMs, PROBE_BACKOFF } from "./backoff.ts";

export interface EndpointHealthOptions {
  /** The concurrency limit while all is well. */
  readonly maxInFlight: number;
  readonly clock: Clock;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
  /** The endpoint has gone down (true) or is up again (false). */
  readonly onDown?: (down: boolean) => void;
}

/** What a failed call says about the endpoint. */
export interface EndpointFailure {
  /** Whether it counts as a sign that the endpoint is down. */
  readonly counts: boolean;
  /** The endpoint says that it has too much to do. */
  readonly overloaded: boolean;
  /** Asked for by the endpoint on behalf of all calls; 0 for none. */
  readonly pauseMs: number;
}

/** How a call ended. Undefined says nothing about the endpoint, as when a stop cut the call off. */
export type EndpointOutcome = "ok" | EndpointFailure | undefined;

// Fewer than the calls that go out at once, so that few calls follow the first ones into a dead endpoint.
const DOWN_AFTER = 5;

/**
 * How many calls an endpoint can take now. Its concurrency limit is halved when the endpoint says that it is overloaded, and grows by one
 * with each success (AIMD). After several failures in a row the endpoint is down: after each backoff one call probes it, until one succeeds.
 *
 * Every call of the endpoint is reported by `begin` and `end`. Only a caller that can wait asks `mayStart` first. Main thread only.
 */
export class EndpointHealth {
  readonly #options: EndpointHealthOptions;
  readonly #listeners = new Set<() => void>();
  /** Pauses that the endpoint asked for. They may overlap; no call starts until the last one has ended. */
  readonly #askedPauses = new Set<() => void>();
  #stopProbePause: (() => void) | undefined;
  #inFlight = 0;
  #limit: number;
  #failuresInRow = 0;
  #failedProbes = 0;
  /** It is down by `takeDown`, and no call has failed since. */
  #takenDown = false;
  // Calls that were under way when a pause began show the state before it: they must not lengthen or end the pause.
  #epoch = 0;
  #closed = false;

  constructor(options: EndpointHealthOptions) {
    this.#options = options;
    this.#limit = options.maxInFlight;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** How many calls may be under way at one time: 1 while the endpoint is down. */
  get limit(): number {
    return this.#limit;
  }

  get down(): boolean {
    return this.#failuresInRow >= DOWN_AFTER;
  }

  /** Whether a pause is on: between two probes, or asked for by the endpoint. */
  get paused(): boolean {
    return this.#stopProbePause !== undefined || this.#askedPauses.size > 0;
  }

  get mayStart(): boolean {
    return !this.paused && this.#inFlight < this.#limit;
  }

  /** Calls back whenever `mayStart` may have become true. Returns how to unsubscribe. */
  onResume(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A call starts, whether or not `mayStart` allows it. Returns what to give to `end`. */
  begin(): number {
    this.#inFlight++;
    return this.#epoch;
  }

  /** A call has ended. Once for every `begin`. */
  end(epoch: number, outcome: EndpointOutcome): void {
    this.#inFlight--;
    const current = epoch === this.#epoch;
    if (outcome === "ok") {
      if (current) this.#succeeded();
    } else if (outcome !== undefined) {
      if (outcome.pauseMs > 0) this.#pauseAsAsked(outcome.pauseMs);
      if (current && outcome.overloaded) this.#limit = Math.max(1, Math.floor(this.#limit / 2));
      if (current && outcome.counts) this.#failed();
    }
    this.#notifyIfMayStart();
  }

  /** Another part has found the endpoint dead: it is down, as after failures seen here. */
  takeDown(): void {
    if (this.down) return;
    this.#failuresInRow = DOWN_AFTER;
    this.#limit = 1;
    this.#failedProbes = 1;
    this.#takenDown = true;
    this.#pauseUntilProbe();
    this.#options.onDown?.(true);
  }

  /** Another part has had an answer from the endpoint: the next probe need not wait. If only `takeDown` took it down, it is up again. */
  answered(): void {
    if (!this.down) return;
    if (this.#takenDown) this.#succeeded();
    else this.#endProbePause();
    this.#notifyIfMayStart();
  }

  /** The endpoint wants no call for `pauseMs`. */
  pause(pauseMs: number): void {
    this.#pauseAsAsked(pauseMs);
  }

  /** Stops the timers and unsubscribes everybody, for good. */
  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    for (const stop of this.#askedPauses) stop();
    this.#askedPauses.clear();
    this.#endProbePause();
  }

  #succeeded(): void {
    const wasDown = this.down;
    this.#failuresInRow = 0;
    this.#failedProbes = 0;
    this.#takenDown = false;
    this.#limit = Math.min(this.#options.maxInFlight, this.#limit + 1);
    // A call that did not ask `mayStart` was faster than the next probe.
    this.#endProbePause();
    if (wasDown) this.#options.onDown?.(false);
  }

  #failed(): void {
    // If such a call fails, it does not postpone the next probe.
    if (this.#stopProbePause !== undefined) return;
    const wasDown = this.down;
    this.#failuresInRow++;
    this.#takenDown = false;
    if (!this.down) return;
    this.#limit = 1;
    this.#failedProbes++;
    this.#pauseUntilProbe();
    if (!wasDown) this.#options.onDown?.(true);
  }

  #pauseUntilProbe(): void {
    this.#epoch++;
    if (this.#closed) return;
    const { clock, random = Math.random } = this.#options;
    this.#stopProbePause = clock.after(backoffMs(this.#failedProbes, PROBE_BACKOFF, random), () => {
      this.#stopProbePause = undefined;
      this.#notifyIfMayStart();
    });
  }

  #endProbePause(): void {
    this.#stopProbePause?.();
    this.#stopProbePause = undefined;
  }

  #pauseAsAsked(pauseMs: number): void {
    this.#epoch++;
    if (this.#closed) return;
    const stop = this.#options.clock.after(pauseMs, () => {
      this.#askedPauses.delete(stop);
      this.#notifyIfMayStart();
    });
    this.#askedPauses.add(stop);
  }

  #notifyIfMayStart(): void {
    if (!this.mayStart) return;
    for (const listener of this.#listeners) listener();
  }
}
