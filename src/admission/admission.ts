import type { AdmissionGate, Overload } from "../orders/admission-gate.ts";
import { type Capacity, DEFAULT_PRIORITY, monotonicMs } from "../threads/index.ts";
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
}

// Often enough for a limit that reacts within a second, and no load beside that of the orders.
export const TICK_EVERY_MS = 100;
// Of what came recently, from one tick to the next.
const KEPT = 0.7;
// A refused client should not stay away for longer: the service may be idle by then.
const MOST_SECONDS = 30;

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
  /** For a permit of each capacity, and for a thread for each step that computes. */
  readonly #orders: Demand;
  readonly #steps: Demand;
  readonly #lines: readonly Line[];
  readonly #exclusive: Line;
  readonly #beforeSteps: ControlledDelay;
  readonly refused: Record<LineRefusal | "max_in_flight", number> = { deadline: 0, limit: 0, max_in_flight: 0 };
  /** Orders that went to the journal, and those that are back. */
  #admitted = 0;
  #arrived = 0;
  /** How many had gone there at each of the last ticks, as far as some of them are not back. */
  #sent: number[] = [];
  #recentlyAdmitted = 0;
  #recentlyRefused = 0;
  #inFlightLimit = Number.POSITIVE_INFINITY;
  // No time passes before the first tick.
  #tickedAtMs = Number.POSITIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    const { capacities, exclusive, orderTimeoutMs, nowMs = monotonicMs } = options;
    this.#options = options;
    this.#nowMs = nowMs;
    this.#orders = new Demand(orderTimeoutMs);
    this.#steps = new Demand(orderTimeoutMs);
    this.#lines = capacities.map((capacity) => new Line(capacity, this.#orders, orderTimeoutMs, nowMs));
    this.#exclusive = new Line(exclusive, this.#steps, orderTimeoutMs, nowMs, options.computingBehind);
    this.#beforeSteps = new ControlledDelay(orderTimeoutMs, nowMs());
  }

  /** How many orders of the usual priority, whose steps do not compute, may be in flight now: 1 to `MAX_IN_FLIGHT`. */
  get limit(): number {
    const inFlight = this.#options.inFlight();
    let limit = Math.min(this.#options.maxInFlight, this.#inFlightLimit);
    for (const line of this.#lines) limit = Math.min(limit, inFlight + line.room(DEFAULT_PRIORITY));
    return Math.max(1, Math.floor(limit));
  }

  admit(priority: number, computing: readonly string[]): Overload | undefined {
    this.#orders.ask(priority, 1);
    if (computing.length > 0) this.#steps.ask(priority, computing.length);
    const reason = this.#refusal(priority, computing);
    if (reason !== undefined) return this.#refuse(reason);
    this.#admitted++;
    this.#recentlyAdmitted++;
    (this.#orders.coming[priority] as number)++;
    (this.#steps.coming[priority] as number) += computing.length;
    return undefined;
  }

  arrived(priority: number, computing: readonly string[]): void {
    (this.#orders.coming[priority] as number)--;
    (this.#steps.coming[priority] as number) -= computing.length;
    this.#arrived++;
  }

  full(): number {
    this.refused.max_in_flight++;
    return this.#retryAfterSeconds();
  }

  /** Adapts the limits to what waits now. To be called every `TICK_EVERY_MS`: its delay shows how long the event loop is busy. */
  tick(): void {
    const nowMs = this.#nowMs();
    const passedMs = Math.max(0, nowMs - this.#tickedAtMs);
    this.#tickedAtMs = nowMs;
    const lateMs = Math.max(0, passedMs - TICK_EVERY_MS);
    for (const line of this.#lines) line.tick(nowMs, lateMs);
    this.#exclusive.tick(nowMs, lateMs);
    this.#limitInFlight(Math.max(lateMs, this.#underWayMs()), nowMs);
    this.#orders.pass(passedMs);
    this.#steps.pass(passedMs);
    this.#recentlyAdmitted *= KEPT;
    this.#recentlyRefused *= KEPT;
  }

  /** For how long, at least, an order has been on its way to the journal and back: it answers in the order of the requests. */
  #underWayMs(): number {
    this.#sent.push(this.#admitted);
    this.#sent = this.#sent.filter((admitted) => admitted > this.#arrived);
    return Math.max(0, this.#sent.length - 1) * TICK_EVERY_MS;
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
      const refusal = line.refusal(priority);
      if (refusal !== undefined) return refusal;
    }
    const refusal = computing.length === 0 ? undefined : this.#exclusive.refusal(priority, computing);
    if (refusal !== undefined) return refusal;
    // The same for all priorities: each gets its part of what there is, for nobody waits in a line that could be shared otherwise.
    return this.#options.inFlight() < this.#inFlightLimit ? undefined : "limit";
  }

  #refuse(reason: LineRefusal): Overload {
    this.refused[reason]++;
    const message = reason === "deadline" ? "too many orders wait: this one would miss its deadline" : "too many orders wait";
    return { message, retryAfterSeconds: this.#retryAfterSeconds() };
  }

  /** When a refused client should retry: after so long that as many come as can be served, with jitter so that they do not come together. */
  #retryAfterSeconds(): number {
    const excess = (this.#recentlyAdmitted + this.#recentlyRefused) / Math.max(1, this.#recentlyAdmitted);
    this.#recentlyRefused++;
    return Math.max(1, Math.min(MOST_SECONDS, Math.round(excess * (0.5 + Math.random()))));
  }
}
