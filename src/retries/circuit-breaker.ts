import { monotonicMs } from "../threads/index.ts";
import { RetryAfters } from "./retry-afters.ts";

/** `closed`: calls go through. `half_open`: few go through, and more with each success. `open`: only probes go through. */
export type CircuitState = "closed" | "half_open" | "open";

/**
 * What a call says about its provider: it works (a definite refusal included), it failed, or it did not answer in time. Undefined says
 * nothing, as when a sibling's failure cut the call off.
 */
export type CallVerdict = "ok" | "failed" | "timed_out" | undefined;

export interface CircuitBreakerOptions {
  /** So many failures in a row open it. A call that timed out counts twice. `Infinity`: never. */
  readonly opensAfter?: number;
  readonly onChange?: (state: CircuitState, reason: string) => void;
  /** 0 to 1, for the jitter of the probes' interval. */
  readonly random?: () => number;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs?: () => number;
}

// A provider that fails half its calls is worth calling: it has twenty failures in a row once in two million calls. One that fails nine of
// ten calls opens the circuit within a hundred calls, and a dead one within 0.14 s at 150 calls a second.
const OPENS_AFTER = 20;
// A call that times out costs its order the whole deadline and leaves no time for a retry.
const WEIGHT = { failed: 1, timed_out: 2 } as const;
// Between probes, half of it jitter. Three probes a second are no load. No probe waits for the one before, which may hang until its order's
// deadline. So a provider that is back is noticed within 0.4 s, whatever the deadline is.
const PROBE_EVERY_MS = 400;
// Two round trips: one probe, then three at a time.
const CLOSES_AFTER = 4;
const ROOM_PER_SUCCESS = 2;
// Half-open: a provider that fails half its calls, or begins to recover, gets more than one chance.
const REOPENS_AFTER = 3;

/**
 * The circuit breaker of one provider, for calls that cannot wait. Closed, it counts failures in a row. Open, it lets one call
 * through in each interval, a probe. Half-open, after a successful probe, it lets a few through at a time. Some successes close it; some
 * failures in a row open it again. It has no timer: it reads the clock when somebody calls. Main thread only.
 *
 * Rejected: a failure rate over a window. The window still holds the successes from before the outage, and when it opens would depend on
 * the rate of orders.
 */
export class CircuitBreaker {
  readonly #opensAfter: number;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #listeners: ((state: CircuitState, reason: string) => void)[] = [];
  #state: CircuitState = "closed";
  /** Weighted, since the last success. */
  #failures = 0;
  // Calls that began before the last change show the state before it: they change nothing.
  #epoch = 0;
  #inFlight = 0;
  #successes = 0;
  #probeAtMs = 0;
  readonly #asked = new RetryAfters();

  constructor({ opensAfter = OPENS_AFTER, onChange, random = Math.random, nowMs = monotonicMs }: CircuitBreakerOptions = {}) {
    this.#opensAfter = opensAfter;
    this.#random = random;
    this.#nowMs = nowMs;
    if (onChange !== undefined) this.#listeners.push(onChange);
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Whether `tryEnter` would let a call through now. */
  get admits(): boolean {
    if (this.#state === "closed") return true;
    const hasRoom = this.#state === "half_open" && this.#inFlight < 1 + ROOM_PER_SUCCESS * this.#successes;
    // Half-open too, because all calls that were let through may hang.
    return hasRoom || this.#nowMs() >= this.#probeAtMs;
  }

  /** Calls back with each change of the state. */
  onChange(listener: (state: CircuitState, reason: string) => void): void {
    this.#listeners.push(listener);
  }

  /** A call begins. Returns what `leave` needs when the call has ended; undefined when the call must not be made. */
  tryEnter(): number | undefined {
    if (this.#state === "closed") return this.#epoch;
    if (!this.admits) return undefined;
    this.#inFlight++;
    this.#probeAtMs = this.#nextProbeMs();
    return this.#epoch;
  }

  /** A call has ended. Once for every `tryEnter` that let a call through. `retryAfterMs`: how long the provider asks it to wait. */
  leave(pass: number, verdict: CallVerdict, retryAfterMs = 0): void {
    if (verdict === "ok") this.#asked.forget();
    if (pass === this.#epoch) {
      if (this.#state === "closed") this.#leaveClosed(verdict);
      else this.#leaveProbing(verdict);
    }
    const holdMs = retryAfterMs > 0 ? this.#asked.note(retryAfterMs, this.#nowMs()) : 0;
    if (holdMs > 0 && this.#opensAfter !== Number.POSITIVE_INFINITY) this.#hold(holdMs);
  }

  #hold(ms: number): void {
    // Holds overlap, and the provider wants not even a probe before the last has ended.
    const untilMs = Math.max(this.#probeAtMs, this.#nowMs() + ms);
    this.#open(`the provider asks to wait ${ms} ms`);
    this.#probeAtMs = untilMs;
  }

  #leaveClosed(verdict: CallVerdict): void {
    if (verdict === "ok") this.#failures = 0;
    else if (verdict !== undefined) this.#countFailure(verdict, this.#opensAfter);
  }

  #leaveProbing(verdict: CallVerdict): void {
    this.#inFlight--;
    // The provider is not at fault, so the next call may be the probe.
    if (verdict === undefined) this.#probeAtMs = this.#nowMs();
    else if (verdict !== "ok") {
      if (this.#state === "half_open") this.#countFailure(verdict, REOPENS_AFTER);
    } else if (this.#state === "open") {
      // Probes still under way began before this success and may hang, so they count no more.
      this.#change("half_open", "a probe went well");
      this.#successes = 1;
    } else {
      this.#failures = 0;
      if (++this.#successes >= CLOSES_AFTER) this.#change("closed", "the provider works again");
    }
  }

  #countFailure(verdict: "failed" | "timed_out", limit: number): void {
    this.#failures += WEIGHT[verdict];
    if (this.#failures >= limit) this.#open("too many failures in a row");
  }

  #open(reason: string): void {
    this.#change("open", reason);
    this.#probeAtMs = this.#nextProbeMs();
  }

  #change(state: CircuitState, reason: string): void {
    const changes = this.#state !== state;
    this.#state = state;
    this.#epoch++;
    this.#inFlight = 0;
    this.#successes = 0;
    this.#failures = 0;
    if (changes) for (const listener of this.#listeners) listener(state, reason);
  }

  #nextProbeMs(): number {
    return this.#nowMs() + PROBE_EVERY_MS * (0.5 + this.#random() / 2);
  }
}
