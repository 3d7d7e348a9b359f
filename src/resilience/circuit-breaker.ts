import { monotonicMs } from "../threads/index.ts";
import { MAX_ASKED_WAIT_MS } from "./backoff.ts";

/** `closed`: calls go through. `half_open`: few go through, and more with each success. `open`: only probes go through. */
export type CircuitState = "closed" | "half_open" | "open";

/** What a call says: the provider works (a definite refusal included), failed, or did not answer in time. Undefined: nothing. */
export type CallVerdict = "ok" | "failed" | "timed_out" | undefined;

/** A call that was let through: whose, and after which change of state. */
export interface Pass {
  readonly orderId: string;
  readonly epoch: number;
}

export interface CircuitBreakerOptions {
  /** So many orders whose calls fail in a row open it. A call that timed out counts twice. `Infinity`: never. */
  readonly opensAfter?: number;
  /** 0 to 1, for the jitter of the probes' interval. */
  readonly random?: () => number;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs?: () => number;
}

// A provider that fails half its calls has so many in a row once in two million calls. One that fails nine of ten opens the circuit within
// a hundred, and a dead one within 0.14 s at 150 calls per second.
const OPENS_AFTER = 20;
// A call that times out costs its order the whole deadline and leaves no time for a retry.
const WEIGHT = { failed: 1, timed_out: 2 } as const;
// Half of it jitter. No probe waits for the one before, which may hang: a provider that is back is noticed within 0.4 s.
const PROBE_EVERY_MS = 400;
// Two round trips: one probe, then three at a time.
const CLOSES_AFTER = 4;
const ROOM_PER_SUCCESS = 2;
// Half-open: a provider that fails half its calls, or begins to recover, gets more than one chance.
const REOPENS_AFTER = 3;

/**
 * The circuit breaker of one provider, for calls that cannot wait. Closed, it counts orders whose calls fail in a row: one order that is
 * sent again and again says something about itself. Open, it lets one call through in each interval, a probe; where each of those orders
 * was asked to wait (`Retry-After`), none before the first of them may come back. Half-open, it lets a few through at a time: some
 * successes close it, some failures in a row open it again. It has no timer, it reads the clock.
 *
 * Rejected: a failure rate over a window, which still holds the successes from before the outage.
 */
export class CircuitBreaker {
  readonly #opensAfter: number;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #listeners: ((state: CircuitState, reason: string) => void)[] = [];
  #state: CircuitState = "closed";
  /** Orders that have failed since the last success, what they weigh, and when the first of them may come back. */
  readonly #failing = new Set<string>();
  #weight = 0;
  #mayReturnAtMs = Number.POSITIVE_INFINITY;
  #epoch = 0;
  #inFlight = 0;
  #successes = 0;
  #probeAtMs = 0;
  /** While it is open: no probe before, for each order was asked to wait. */
  #heldUntilMs = 0;

  constructor({ opensAfter = OPENS_AFTER, random = Math.random, nowMs = monotonicMs }: CircuitBreakerOptions = {}) {
    this.#opensAfter = opensAfter;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Whether `tryEnter` would let a call through now. */
  get admits(): boolean {
    return this.retryAfterMs === 0;
  }

  /** Milliseconds until it lets a call through; 0 where it does now. It cannot close before. */
  get retryAfterMs(): number {
    if (this.#state === "closed") return 0;
    if (this.#state === "half_open" && this.#inFlight < 1 + ROOM_PER_SUCCESS * this.#successes) return 0;
    // Half-open too, because all calls that were let through may hang.
    return Math.max(0, Math.max(this.#probeAtMs, this.#heldUntilMs) - this.#nowMs());
  }

  onChange(listener: (state: CircuitState, reason: string) => void): void {
    this.#listeners.push(listener);
  }

  /** A call of an order begins. Undefined when it must not be made. */
  tryEnter(orderId: string): Pass | undefined {
    if (!this.admits) return undefined;
    if (this.#state !== "closed") {
      this.#inFlight++;
      this.#probeAtMs = this.#nextProbeMs();
    }
    return { orderId, epoch: this.#epoch };
  }

  /** A call has ended. Once for every `tryEnter` that let a call through. `retryAfterMs`: how long the provider asks it to wait. */
  leave({ orderId, epoch }: Pass, verdict: CallVerdict, retryAfterMs = 0): void {
    // It began before the last change, shows the state before that, and changes nothing.
    if (epoch !== this.#epoch) return;
    this.#inFlight--;
    if (verdict === "ok") this.#succeeded();
    else if (verdict !== undefined) this.#failed(orderId, WEIGHT[verdict], retryAfterMs);
    // The provider is not at fault, so the next call may be the probe.
    else this.#probeAtMs = this.#nowMs();
  }

  #succeeded(): void {
    this.#forgetFailures();
    // Probes still under way began before this success and may hang, so they count no more.
    if (this.#state === "open") this.#change("half_open", "a probe went well");
    this.#successes++;
    if (this.#state === "half_open" && this.#successes >= CLOSES_AFTER) this.#change("closed", "the provider works again");
  }

  #failed(orderId: string, weight: number, retryAfterMs: number): void {
    const limit = this.#state === "closed" ? this.#opensAfter : REOPENS_AFTER;
    if (limit === Number.POSITIVE_INFINITY || this.#failing.has(orderId)) return;
    const nowMs = this.#nowMs();
    this.#failing.add(orderId);
    this.#weight += weight;
    this.#mayReturnAtMs = Math.min(this.#mayReturnAtMs, nowMs + retryAfterMs);
    if (this.#weight < limit) return;
    const heldUntilMs = Math.min(this.#mayReturnAtMs, nowMs + MAX_ASKED_WAIT_MS);
    this.#forgetFailures();
    if (this.#state !== "open") {
      this.#change("open", heldUntilMs > nowMs ? "every order is asked to wait" : "too many failures in a row");
      this.#probeAtMs = this.#nextProbeMs();
    }
    this.#heldUntilMs = Math.max(this.#heldUntilMs, heldUntilMs);
  }

  #forgetFailures(): void {
    this.#failing.clear();
    this.#weight = 0;
    this.#mayReturnAtMs = Number.POSITIVE_INFINITY;
  }

  #change(state: CircuitState, reason: string): void {
    this.#state = state;
    this.#epoch++;
    this.#inFlight = 0;
    this.#successes = 0;
    this.#heldUntilMs = 0;
    for (const listener of this.#listeners) listener(state, reason);
  }

  #nextProbeMs(): number {
    return this.#nowMs() + PROBE_EVERY_MS * (0.5 + this.#random() / 2);
  }
}
