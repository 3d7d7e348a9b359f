import type { Clock } from "../threads/index.ts";
import { type BackoffPolicy, backoffMs } from "./backoff.ts";
import { Outage } from "./outage.ts";
import { RetryAfters } from "./retry-afters.ts";

export interface EndpointHealthOptions {
  /** How many calls may be under way at one time while all is well. */
  readonly maxInFlight: number;
  readonly clock: Clock;
  /** 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
  /** The endpoint has gone down (true) or is up again (false). */
  readonly onDown?: (down: boolean) => void;
}

export interface CallFailure {
  /** The row has failed before. Then this failure says something about the row, and nothing about the endpoint. */
  readonly again: boolean;
  /** `answered`: by an answer. `silent`: no answer came. `unconnected`: no connection came about, which is never the row's fault. */
  readonly how: "answered" | "silent" | "unconnected";
  /** The endpoint says that it has too much to do. */
  readonly overloaded: boolean;
  /** How long the endpoint asks to wait; 0 where it does not ask. */
  readonly retryAfterMs: number;
}

/** How a call ended. Undefined says nothing about the endpoint, as when a stop cut the call off. */
export type CallEnd = "ok" | CallFailure | undefined;

// A provider that is in trouble elsewhere gets a few calls at a time; each success lets one more through.
const SLOW_LIMIT = 4;

/**
 * What is known of an address, by its own answers. Its concurrency limit is halved when it says that it is overloaded, and grows by one
 * with each success (AIMD). It is down when several rows have failed and none has succeeded: rows that failed before wait then, and one at
 * a time probes it. It is silent when calls get no answer at all: first tries wait as well. A failure counts only if nothing better was
 * heard since its call began: calls that hang end long after others have succeeded.
 */
export class EndpointHealth {
  readonly #maxInFlight: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #listeners = new Set<() => void>();
  readonly #down: Outage;
  readonly #silent: Outage;
  #inFlight = 0;
  #limit: number;
  /** How many calls have begun; how many had when the last one succeeded, and when the last answer came. */
  #begun = 0;
  #begunAtSuccess = 0;
  #begunAtAnswer = 0;
  readonly #asked = new RetryAfters();
  #stopWait: (() => void) | undefined;
  /** When it was last down. Wall clock, as the times of rows are. */
  #downAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor({ maxInFlight, clock, random = Math.random, onDown }: EndpointHealthOptions) {
    this.#maxInFlight = maxInFlight;
    this.#limit = maxInFlight;
    this.#clock = clock;
    this.#random = random;
    const onProbe = () => this.#notify();
    const onChange = (down: boolean) => {
      this.#downAtMs = clock.nowMs();
      onDown?.(down);
    };
    this.#down = new Outage({ clock, random, onProbe, onChange });
    this.#silent = new Outage({ clock, random, onProbe });
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get limit(): number {
    return this.#limit;
  }

  get down(): boolean {
    return this.#down.on;
  }

  /** Whether the endpoint has asked for a time without calls, which is not over. */
  get isAskedToWait(): boolean {
    return this.#stopWait !== undefined;
  }

  /** A share of the calls. `first`: for rows that were never tried. */
  lane(max: number, kind: "first" | "again"): Lane {
    return new Lane(this, kind, kind === "first" ? this.#silent : this.#down, max);
  }

  /** Calls back whenever more calls may be allowed. Returns how to unsubscribe. */
  onResume(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * How long a row waits that has failed so often (1 or more), and was asked to wait for `retryAfterMs`. While the endpoint is down its probes
   * have a pause of their own. What failed then is not held against the row: it waits no longer than the endpoint has been up.
   */
  pauseMs(failures: number, policy: BackoffPolicy, retryAfterMs = 0, isProbe = this.down): number {
    if (isProbe) return retryAfterMs;
    const nowMs = this.#clock.nowMs();
    // Where the clock was set back, every row would be tried again at once until that time came.
    this.#downAtMs = Math.min(this.#downAtMs, nowMs);
    const upForMs = nowMs - this.#downAtMs;
    const capMs = Math.min(policy.capMs, Math.max(policy.baseMs, upForMs));
    return Math.max(retryAfterMs, backoffMs(failures, { ...policy, capMs }, this.#random));
  }

  /** Another address of the same provider is in trouble: few calls at a time from now on, but never none. */
  slow(): void {
    this.#limit = Math.min(this.#limit, SLOW_LIMIT);
  }

  begin(): number {
    this.#inFlight++;
    return ++this.#begun;
  }

  /** A call has ended. Once for every `begin`. */
  end(call: number, end: CallEnd): void {
    this.#inFlight--;
    if (end === "ok") this.#succeeded();
    else if (end !== undefined) this.#failed(call, end);
    this.#notify();
  }

  /** Stops the timers and unsubscribes everybody, for good. */
  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    this.#stopWait?.();
    this.#stopWait = undefined;
    this.#down.close();
    this.#silent.close();
  }

  #succeeded(): void {
    this.#begunAtSuccess = this.#begun;
    this.#begunAtAnswer = this.#begun;
    this.#asked.forget();
    this.#limit = Math.min(this.#maxInFlight, this.#limit + 1);
    this.#down.end();
    this.#silent.end();
  }

  #failed(call: number, { again, how, overloaded, retryAfterMs }: CallFailure): void {
    if (overloaded) this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    // Calls that were under way when a hold began must not change it.
    if (retryAfterMs > 0 && !this.isAskedToWait) this.#wait(this.#asked.note(retryAfterMs, this.#clock.nowMs()));
    const isOfEndpoint = !again || how === "unconnected";
    // Whatever fails while it is down has probed it.
    if ((isOfEndpoint || this.#down.on) && call > this.#begunAtSuccess) this.#down.sign();
    if (how === "answered") {
      this.#begunAtAnswer = this.#begun;
      this.#silent.end();
    } else if ((isOfEndpoint || this.#silent.on) && call > this.#begunAtAnswer) this.#silent.sign();
  }

  #wait(waitMs: number): void {
    if (waitMs === 0 || this.#closed) return;
    this.#stopWait = this.#clock.after(waitMs, () => {
      this.#stopWait = undefined;
      this.#notify();
    });
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The calls of one kind that an endpoint may get at one time. */
export class Lane {
  readonly health: EndpointHealth;
  readonly max: number;
  readonly #kind: "first" | "again";
  readonly #outage: Outage;
  #inFlight = 0;
  #reserved = 0;

  constructor(health: EndpointHealth, kind: "first" | "again", outage: Outage, max: number) {
    this.health = health;
    this.#kind = kind;
    this.max = max;
    this.#outage = outage;
  }

  /** Whether the next call is a probe: one at a time, and the row that was tried least. */
  get probing(): boolean {
    return this.#outage.on;
  }

  /** How many calls may begin now. */
  get room(): number {
    if (this.health.isAskedToWait) return 0;
    const taken = this.#inFlight + this.#reserved;
    if (this.#outage.on) return this.#outage.paused || taken > 0 ? 0 : 1;
    return Math.max(0, this.#limit - taken);
  }

  /** How many calls may be those of a queue: half of the first tries are left to orders that fail now, whatever hangs in the backlog. */
  get maxOfQueue(): number {
    return this.#kind === "first" ? Math.ceil(this.#limit / 2) : this.#limit;
  }

  /** So many rows are being taken: their calls begin soon. Negative: they have been taken. */
  reserve(calls: number): void {
    this.#reserved += calls;
  }

  /** The endpoint's is each lane's: rows that hang in one must not keep the other waiting. */
  get #limit(): number {
    return Math.min(this.max, this.health.limit);
  }

  /** A call begins, whether or not there is room. Returns what `end` needs. */
  begin(): number {
    this.#inFlight++;
    return this.health.begin();
  }

  end(call: number, end: CallEnd): void {
    this.#inFlight--;
    this.health.end(call, end);
  }
}
