import type { AdmissionGate, Overload } from "../orders/admission-gate.ts";
import { type Capacity, DEFAULT_PRIORITY, monotonicMs, PRIORITIES } from "../threads/index.ts";
import { ControlledDelay } from "./controlled-delay.ts";
import { Demand } from "./fair-shares.ts";
import { Line, type LineRefusal } from "./line.ts";

export interface AdmissionOptions {
  /** One of each for every order. */
  readonly capacities: readonly Capacity[];
  /** One for each step that computes. Its kind is the step's name. */
  readonly exclusive: Capacity;
  /** Steps that compute and wait for another capacity first, by priority. */
  readonly computingBehind: () => ArrayLike<number>;
  readonly inFlight: () => number;
  readonly maxInFlight: number;
  readonly orderTimeoutMs: number;
  readonly nowMs?: () => number;
  readonly random?: () => number;
}

// Often enough for a limit that reacts within a second, and no load beside that of the orders.
const TICK_EVERY_MS = 100;

/**
 * Decides from what waits now whether the service can take one more order: a queue that admits more than its bottleneck can serve in time
 * serves nobody in time.
 *
 * An order is refused when one of its capacities will not come soon enough (`Line`). It is not enough that it comes before the deadline,
 * for payment and vendor start at once while the courier is waited for, and a payment for an order that then times out has to be refunded.
 * The journal and the event loop have no permits to count: what orders wait for them is measured, and limits how many may be in flight.
 */
export class Admission implements AdmissionGate {
  readonly #options: AdmissionOptions;
  readonly #nowMs: () => number;
  readonly #orders: Demand;
  readonly #steps: Demand;
  readonly #lines: readonly Line[];
  readonly #exclusive: Line;
  readonly #beforeSteps: ControlledDelay;
  readonly #turnaround = new Turnaround();
  readonly #retryAfter: RetryAfter;
  readonly #refused = { deadline: 0, limit: 0, max_in_flight: 0 };
  /** Orders on their way to their capacities, and their steps that compute, by priority. */
  readonly #coming = new Float64Array(PRIORITIES);
  readonly #stepsComing = new Float64Array(PRIORITIES);
  readonly #stepsAhead = new Float64Array(PRIORITIES);
  #inFlightLimit = Number.POSITIVE_INFINITY;
  #tickedAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AdmissionOptions) {
    const { capacities, exclusive, orderTimeoutMs, nowMs = monotonicMs } = options;
    this.#options = options;
    this.#nowMs = nowMs;
    this.#orders = new Demand(orderTimeoutMs);
    this.#steps = new Demand(orderTimeoutMs);
    this.#lines = capacities.map((capacity) => new Line(capacity, this.#orders, orderTimeoutMs, nowMs));
    this.#exclusive = new Line(exclusive, this.#steps, orderTimeoutMs, nowMs);
    this.#beforeSteps = new ControlledDelay(orderTimeoutMs, nowMs());
    this.#retryAfter = new RetryAfter(options.random ?? Math.random);
    this.#tickedAtMs = nowMs();
  }

  /** How many orders of the usual priority, whose steps do not compute, may be in flight now: 1 to `MAX_IN_FLIGHT`. */
  get limit(): number {
    const inFlight = this.#options.inFlight();
    let limit = Math.min(this.#options.maxInFlight, this.#inFlightLimit);
    for (const line of this.#lines) limit = Math.min(limit, inFlight + line.room(DEFAULT_PRIORITY, this.#coming));
    return Math.max(1, Math.floor(limit));
  }

  get refused(): Readonly<Record<LineRefusal | "max_in_flight", number>> {
    return this.#refused;
  }

  admit(priority: number, computing: readonly string[]): Overload | undefined {
    this.#retryAfter.asked();
    (this.#orders.asked[priority] as number)++;
    if (computing.length > 0) (this.#steps.asked[priority] as number) += computing.length;
    const reason = this.#refusal(priority, computing);
    if (reason !== undefined) return this.#refuse(reason);
    this.#turnaround.left(this.#nowMs);
    (this.#coming[priority] as number)++;
    if (computing.length > 0) (this.#stepsComing[priority] as number) += computing.length;
    return undefined;
  }

  arrived(priority: number, computing: readonly string[]): void {
    (this.#coming[priority] as number)--;
    if (computing.length > 0) (this.#stepsComing[priority] as number) -= computing.length;
    this.#turnaround.returned(this.#nowMs);
  }

  full(): number {
    this.#refused.max_in_flight++;
    this.#retryAfter.asked();
    return this.#retryAfter.refused();
  }

  /** Adapts the limits from now on, on one timer for all. `stop` ends that. */
  start(): void {
    this.#tickedAtMs = this.#nowMs();
    this.#timer ??= setInterval(() => this.tick(), TICK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Adapts the limits to what waits now. To be called every tenth of a second: its delay shows how long the event loop is busy. */
  tick(): void {
    const nowMs = this.#nowMs();
    const passedMs = Math.max(0, nowMs - this.#tickedAtMs);
    this.#tickedAtMs = nowMs;
    const lateMs = Math.max(0, passedMs - TICK_EVERY_MS);
    for (const line of this.#lines) line.tick(nowMs, lateMs);
    this.#exclusive.tick(nowMs, lateMs);
    this.#limitInFlight(Math.max(lateMs, this.#turnaround.tick(nowMs)), nowMs);
    this.#orders.pass(passedMs);
    this.#steps.pass(passedMs);
    this.#retryAfter.tick();
  }

  #limitInFlight(beforeStepsMs: number, nowMs: number): void {
    const delay = this.#beforeSteps;
    delay.tick(beforeStepsMs <= delay.targetMs(0), nowMs);
    const excess = beforeStepsMs / delay.permittedMs(this.#options.orderTimeoutMs, 0);
    // Little's law: the orders in flight are reduced by the factor by which their wait is too long.
    this.#inFlightLimit = excess > 1 ? Math.max(1, this.#options.inFlight() / excess) : Number.POSITIVE_INFINITY;
  }

  #refusal(priority: number, computing: readonly string[]): LineRefusal | undefined {
    for (const line of this.#lines) {
      const refusal = line.refusal(priority, this.#coming);
      if (refusal !== undefined) return refusal;
    }
    if (computing.length > 0) {
      const behind = this.#options.computingBehind();
      for (let each = 0; each < PRIORITIES; each++) this.#stepsAhead[each] = (this.#stepsComing[each] as number) + (behind[each] as number);
      const refusal = this.#exclusive.refusal(priority, this.#stepsAhead, computing);
      if (refusal !== undefined) return refusal;
    }
    // The same for all priorities: each gets its part of what there is, for nobody waits in a line that could be shared otherwise.
    return this.#options.inFlight() < this.#inFlightLimit ? undefined : "limit";
  }

  #refuse(reason: LineRefusal): Overload {
    this.#refused[reason]++;
    const message = reason === "deadline" ? "too many orders wait: this one would miss its deadline" : "too many orders wait";
    return { message, retryAfterSeconds: this.#retryAfter.refused() };
  }
}

/**
 * How long orders wait for the journal and the event loop, from admission until they are stored. One order at a time is timed: the journal
 * answers in the order of the requests, so a count of the answers shows when it is back.
 */
class Turnaround {
  #asked = 0;
  #back = 0;
  #timed: { readonly number: number; readonly sinceMs: number } | undefined;
  #longestMs = 0;

  /** An order goes to the journal. */
  left(nowMs: () => number): void {
    this.#asked++;
    this.#timed ??= { number: this.#asked, sinceMs: nowMs() };
  }

  /** One is back. */
  returned(nowMs: () => number): void {
    this.#back++;
    if (this.#timed === undefined || this.#back < this.#timed.number) return;
    this.#longestMs = Math.max(this.#longestMs, nowMs() - this.#timed.sinceMs);
    this.#timed = undefined;
  }

  /** The longest wait since the last tick. An order under way counts with its wait so far. */
  tick(nowMs: number): number {
    const longestMs = Math.max(this.#longestMs, this.#timed === undefined ? 0 : nowMs - this.#timed.sinceMs);
    this.#longestMs = 0;
    return longestMs;
  }
}

// A client should not stay away for longer: the service may be idle by then.
const MOST_SECONDS = 30;
const SHARE_OF_NEW = 0.3;

/** When a refused client should retry: after so long that as many come as can be served, with jitter so that they do not come together. */
class RetryAfter {
  readonly #random: () => number;
  #asked = 0;
  #refused = 0;
  #excess = 1;

  constructor(random: () => number) {
    this.#random = random;
  }

  asked(): void {
    this.#asked++;
  }

  /** Seconds, a whole number from 1 to 30. */
  refused(): number {
    this.#refused++;
    return Math.max(1, Math.min(MOST_SECONDS, Math.round(this.#excess * (0.5 + this.#random()))));
  }

  tick(): void {
    const admitted = this.#asked - this.#refused;
    const excess = this.#asked === 0 ? 1 : this.#asked / Math.max(1, admitted);
    this.#excess += (excess - this.#excess) * SHARE_OF_NEW;
    this.#asked = 0;
    this.#refused = 0;
  }
}
