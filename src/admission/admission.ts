import type { AdmissionGate, Overload } from "../orders/admission-gate.ts";
import { DEFAULT_URGENCY, monotonicMs } from "../threads/index.ts";
import { RetryAfter } from "./retry-after.ts";
import { Starvation } from "./starvation.ts";
import { Tolerance } from "./tolerance.ts";
import { Turnaround } from "./turnaround.ts";
import { type CapacityView, shareOf, WaitForecast } from "./wait-forecast.ts";

/** Why an order was refused: it would have missed its deadline, the limit that adapts was reached, or `MAX_IN_FLIGHT`. */
export type RefusedFor = "deadline" | "limit" | "max_in_flight";

/** What can be seen of it from outside. No metric shows it. */
export interface AdmissionView {
  /** How many orders of usual urgency may be in flight now, 1 to `MAX_IN_FLIGHT`. */
  readonly limit: number;
  /** Orders refused since the start. */
  readonly refused: Readonly<Record<RefusedFor, number>>;
}

export interface AdmissionOptions {
  /** One of each for every order. */
  readonly capacities: readonly CapacityView[];
  /** One for each step that computes. */
  readonly exclusive: CapacityView;
  /** Steps that compute and wait for another capacity first. */
  readonly computingBehind: () => number;
  readonly inFlight: () => number;
  readonly maxInFlight: number;
  readonly orderTimeoutMs: number;
  readonly nowMs?: () => number;
  readonly random?: () => number;
}

// Often enough for a limit that reacts within a second, and no load beside that of the orders.
const LOOK_EVERY_MS = 100;

/**
 * Decides from what waits now whether the service can take one more order. A queue that admits more than its bottleneck can serve in time
 * serves nobody in time. Main thread only.
 *
 * An order is refused when one of its capacities will not come soon enough, by Little's law from how many are in front of
 * it and how long permits are held. Soon enough is (1) so soon that it is done long before its deadline, for payment and vendor
 * start at once while the courier is waited for, and a payment for an order that then times out would have to be refunded; and (2)
 * within what is tolerated for now (`Tolerance`). Only waiting counts: ten thousand slow orders that wait for nothing are no
 * overload. An order that finds a permit free is never refused for that capacity, so a forecast that is wrong is corrected.
 *
 * What orders wait for the journal and the event loop limits how many may be in flight, in the same measure.
 */
export class Admission implements AdmissionGate, AdmissionView {
  readonly #options: AdmissionOptions;
  readonly #nowMs: () => number;
  readonly #lines: readonly WaitForecast[];
  readonly #exclusive: WaitForecast;
  readonly #tolerance: Tolerance;
  readonly #turnaround = new Turnaround();
  readonly #starvation: Starvation;
  readonly #retryAfter: RetryAfter;
  readonly #refused = { deadline: 0, limit: 0, max_in_flight: 0 };
  #computingToCome = 0;
  #inFlightLimit = Number.POSITIVE_INFINITY;
  #lookedAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AdmissionOptions) {
    const { capacities, exclusive, orderTimeoutMs } = options;
    this.#options = options;
    this.#nowMs = options.nowMs ?? monotonicMs;
    this.#lines = capacities.map((capacity) => new WaitForecast(capacity, orderTimeoutMs));
    this.#exclusive = new WaitForecast(exclusive, orderTimeoutMs);
    this.#tolerance = new Tolerance(orderTimeoutMs);
    this.#starvation = new Starvation(orderTimeoutMs);
    this.#retryAfter = new RetryAfter(options.random ?? Math.random);
    this.#lookedAtMs = this.#nowMs();
  }

  get limit(): number {
    const inFlight = this.#options.inFlight();
    const { coming } = this.#turnaround;
    let limit = Math.min(this.#options.maxInFlight, this.#inFlightLimit);
    for (const line of this.#lines) limit = Math.min(limit, inFlight + this.#roomIn(line, coming));
    // Only orders with steps that compute wait for the exclusive pool, so it counts only while there are such orders.
    if (this.#computingAhead() > 0) limit = Math.min(limit, inFlight + this.#roomIn(this.#exclusive, this.#computingAhead()));
    return Math.max(1, Math.floor(limit));
  }

  get refused(): Readonly<Record<RefusedFor, number>> {
    return this.#refused;
  }

  admit(urgency: number, computing: number): Overload | undefined {
    this.#retryAfter.asked();
    const judgedAs = this.#starvation.isPossible ? this.#starvation.judgedAs(urgency, this.#nowMs()) : urgency;
    const refusal = this.#refusal(judgedAs, computing);
    if (refusal !== undefined) {
      this.#starvation.refused(urgency, this.#nowMs());
      return refusal;
    }
    this.#starvation.admitted(urgency);
    this.#turnaround.left(this.#nowMs);
    this.#computingToCome += computing;
    return undefined;
  }

  arrived(computing: number): void {
    this.#computingToCome -= computing;
    this.#turnaround.returned(this.#nowMs);
  }

  full(): number {
    this.#refused.max_in_flight++;
    this.#retryAfter.asked();
    return this.#retryAfter.refused();
  }

  /** Adapts the limits from now on, on one timer for all. `stop` ends that. */
  start(): void {
    this.#lookedAtMs = this.#nowMs();
    this.#timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Adapts the limits to what waits now. To be called every tenth of a second: its delay shows how long the event loop is busy. */
  look(): void {
    const nowMs = this.#nowMs();
    const lateMs = Math.max(0, nowMs - this.#lookedAtMs - LOOK_EVERY_MS);
    this.#lookedAtMs = nowMs;
    const beforeStepsMs = Math.max(lateMs, this.#turnaround.look(nowMs));
    const tolerance = this.#tolerance;
    let pressure = tolerance.pressure(beforeStepsMs, 0);
    for (const line of this.#lines) pressure = Math.max(pressure, tolerance.pressure(line.waitMs(this.#turnaround.coming), line.holdMs));
    pressure = Math.max(pressure, tolerance.pressure(this.#exclusive.waitMs(this.#computingAhead()), this.#exclusive.holdMs));
    tolerance.look(pressure);
    const excess = beforeStepsMs / tolerance.permittedMs(0);
    // Little's law: the orders in flight are reduced by the factor by which their wait is too long.
    this.#inFlightLimit = excess > 1 ? Math.max(1, this.#options.inFlight() / excess) : Number.POSITIVE_INFINITY;
    this.#retryAfter.look();
  }

  #refusal(urgency: number, computing: number): Overload | undefined {
    const { coming } = this.#turnaround;
    for (const line of this.#lines) {
      const refusal = this.#refusalBy(line, coming, urgency);
      if (refusal !== undefined) return refusal;
    }
    if (computing > 0) {
      // The order ends when its last computing step does.
      const refusal = this.#refusalBy(this.#exclusive, this.#computingAhead() + computing - 1, urgency);
      if (refusal !== undefined) return refusal;
    }
    if (this.#options.inFlight() >= Math.max(1, this.#inFlightLimit * relativeShare(urgency))) return this.#refuse("limit");
    return undefined;
  }

  #computingAhead(): number {
    return this.#computingToCome + this.#options.computingBehind();
  }

  #refusalBy(line: WaitForecast, coming: number, urgency: number): Overload | undefined {
    const waitMs = line.waitMs(coming);
    if (waitMs === 0) return undefined;
    if (waitMs > line.roomMs * shareOf(urgency)) return this.#refuse("deadline");
    if (waitMs > this.#tolerance.permittedMs(line.holdMs) * relativeShare(urgency)) return this.#refuse("limit");
    return undefined;
  }

  /** How many more orders of usual urgency a line may take. */
  #roomIn(line: WaitForecast, coming: number): number {
    const permittedMs = Math.min(line.roomMs * shareOf(DEFAULT_URGENCY), this.#tolerance.permittedMs(line.holdMs));
    return line.free(coming) + (permittedMs - line.waitMs(coming)) / line.turnMs;
  }

  #refuse(why: "deadline" | "limit"): Overload {
    this.#refused[why]++;
    const message = why === "deadline" ? "too many orders wait: this one would miss its deadline" : "too many orders wait";
    return { message, retryAfterSeconds: this.#retryAfter.refused() };
  }
}

/** The share of a limit for the usual urgency that an order of this urgency gets. */
function relativeShare(urgency: number): number {
  return shareOf(urgency) / shareOf(DEFAULT_URGENCY);
}
