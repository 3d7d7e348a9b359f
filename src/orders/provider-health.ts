import { CallTimes } from "../resilience/call-times.ts";
import { type CallVerdict, CircuitBreaker, type CircuitBreakerOptions, type Pass } from "../resilience/circuit-breaker.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { monotonicMs } from "../threads/index.ts";
import type { EndedStep, StepOutcome } from "./step.ts";
import type { StepName } from "./steps.ts";

export interface ProviderHealthOptions extends Pick<CircuitBreakerOptions, "opensAfter" | "random"> {
  readonly maxTries?: number;
}

// The first call and two retries: a third retry costs an order more time than it saves orders.
const MAX_TRIES = 3;
// A Node timer may fire up to a millisecond before its time.
const EARLY_MS = 2;

/** What the process knows of one real provider, learned from the calls of all orders. */
export class ProviderHealth {
  readonly circuit: CircuitBreaker;
  readonly retryBudget = new RetryBudget();
  readonly maxTries: number;
  readonly random: () => number;
  readonly #times = new CallTimes();

  constructor({ maxTries = MAX_TRIES, random = Math.random, ...options }: ProviderHealthOptions = {}) {
    this.circuit = new CircuitBreaker({ random, ...options });
    this.maxTries = maxTries;
    this.random = random;
  }

  /** Whether a call that begins in `waitMs` cannot end before `deadlineMs`: no recent call was that fast. */
  surelyMisses(deadlineMs: number | undefined, waitMs = 0): boolean {
    if (deadlineMs === undefined) return false;
    const nowMs = monotonicMs();
    return nowMs + waitMs + this.#times.fastestMs(nowMs) > deadlineMs;
  }

  ended(pass: Pass, deadlineMs: number | undefined, { outcome, startedAtMs, endedAtMs }: EndedStep): void {
    // A call that never came to a thread took no time, and says nothing.
    const tookMs = endedAtMs - (startedAtMs ?? endedAtMs);
    // The provider's fault only if the call had more time than every recent success, not where it began just before the deadline.
    const isLate = deadlineMs !== undefined && endedAtMs >= deadlineMs - EARLY_MS && tookMs > this.#times.slowestMs(endedAtMs);
    const verdict = verdictOn(outcome, isLate);
    if (outcome.status === "ok" && startedAtMs !== undefined) this.#times.note(tookMs, endedAtMs);
    this.circuit.leave(pass, verdict, outcome.status === "failed" ? outcome.unavailable?.retryAfterMs : undefined);
  }
}

/** Every answer but one that says "unavailable" shows that the provider works. `isLate`: it was canceled by the deadline. */
function verdictOn(outcome: StepOutcome, isLate: boolean): CallVerdict {
  switch (outcome.status) {
    case "ok":
      return "ok";
    case "failed":
      return outcome.unavailable === undefined ? "ok" : "failed";
    case "lost":
      return undefined;
    case "canceled":
      return outcome.cause === "deadline" && outcome.effect === "unknown" && isLate ? "timed_out" : undefined;
  }
}

/** By step, for real providers only: a simulated one fails because an order asks it to. */
export type ProviderHealths = Readonly<Partial<Record<StepName, ProviderHealth>>>;
