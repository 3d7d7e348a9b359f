import { type BackoffPolicy, fullJitterMs } from "../resilience/backoff.ts";
import type { Pass } from "../resilience/circuit-breaker.ts";
import { type CancelScope, monotonicMs, pause } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { ProviderHealth } from "./provider-health.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "./step.ts";
import type { StepGroup, StepSpec } from "./step-runner.ts";
import { STEP_TABLE, type StepName } from "./steps.ts";

export function refusedByCircuit(name: StepName, { circuit }: ProviderHealth) {
  const { circuitOpen: kind } = STEP_TABLE[name].meaning;
  return { status: "failed", kind, effect: "none", unavailable: { retryAfterMs: circuit.retryAfterMs } } as const;
}

// Short beside an order's deadline: such a retry helps against a short fault, and the circuit breaker handles a longer one.
const RETRY_BACKOFF: BackoffPolicy = { baseMs: 50, capMs: 400 };
// A timer may fire a millisecond early, and a provider counts to the millisecond.
const AFTER_HOLD_MS = 2;

export interface ProviderCallParts {
  readonly name: StepName;
  readonly health: ProviderHealth;
  readonly spec: StepSpec;
  readonly input: AttemptInput;
  readonly steps: StepGroup;
  /** The scope of the order's task group: canceling it ends the order's other steps too. */
  readonly scope: CancelScope<CancelCause>;
}

/** One step at a real provider: asks its circuit breaker, calls, and tries again while time is left and the retry budget allows it. */
export class ProviderCall {
  readonly #parts: ProviderCallParts;
  #tries = 0;
  /** An earlier try may have had its effect, whatever the outcome of the last one says. */
  #inDoubt = false;

  constructor(parts: ProviderCallParts) {
    this.#parts = parts;
  }

  /** Resolves when the step has ended. Rejects only for a bug of the runner. */
  begin(): Promise<EndedStep> {
    const { name, health, input, scope } = this.#parts;
    if (scope.cause === undefined && health.surelyMisses(scope.deadlineMs)) {
      // The order cannot be placed any more, so its other steps stop now and not at the deadline.
      scope.cancel("deadline");
    }
    if (scope.cause !== undefined) return Promise.resolve(endedNow({ status: "canceled", cause: scope.cause, effect: "none" }));
    const pass = health.circuit.tryEnter(input.orderId);
    if (pass === undefined) return Promise.resolve(endedNow(refusedByCircuit(name, health)));
    health.retryBudget.deposit();
    return this.#try(pass);
  }

  #try(pass: Pass): Promise<EndedStep> {
    const { health, steps, spec, input, scope } = this.#parts;
    this.#tries++;
    return steps.run(spec, input).then(
      (ended) => {
        health.ended(pass, scope.deadlineMs, ended);
        return this.#retryOrEnd(ended);
      },
      (error: unknown) => {
        health.circuit.leave(pass, undefined);
        throw error;
      },
    );
  }

  #retryOrEnd(ended: EndedStep): EndedStep | Promise<EndedStep> {
    const { health, scope } = this.#parts;
    const { outcome } = ended;
    if (outcome.status !== "failed" || outcome.unavailable === undefined) return this.#withDoubt(ended);
    if (this.#tries >= health.maxTries || scope.cause !== undefined) return this.#withDoubt(ended);
    const waitMs = this.#waitMs(outcome.unavailable.retryAfterMs);
    // The budget is asked last: a retry for which there is no time must not use it up.
    if (health.surelyMisses(scope.deadlineMs, waitMs) || !health.retryBudget.withdraw()) return this.#withDoubt(ended);
    this.#inDoubt ||= outcome.effect === "unknown";
    return this.#retry(waitMs, ended);
  }

  async #retry(waitMs: number, before: EndedStep): Promise<EndedStep> {
    const { health, input, scope } = this.#parts;
    await pause(waitMs, scope);
    // The step has been on no thread since its last try, so `startedAtMs` must not name the start of that try.
    const paused = { startedAtMs: undefined, endedAtMs: monotonicMs() };
    if (scope.cause !== undefined) {
      return this.#withDoubt({ ...before, ...paused, outcome: { status: "canceled", cause: scope.cause, effect: "none" } });
    }
    const pass = health.surelyMisses(scope.deadlineMs) ? undefined : health.circuit.tryEnter(input.orderId);
    return pass === undefined ? this.#withDoubt({ ...before, ...paused }) : this.#try(pass);
  }

  #waitMs(retryAfterMs: number | undefined): number {
    const jitterMs = fullJitterMs(this.#tries, RETRY_BACKOFF, this.#parts.health.random);
    return retryAfterMs === undefined ? jitterMs : retryAfterMs + AFTER_HOLD_MS + jitterMs;
  }

  #withDoubt(ended: EndedStep): EndedStep {
    const { outcome } = ended;
    if (!this.#inDoubt || outcome.status === "ok" || outcome.effect === "unknown") return ended;
    return { ...ended, outcome: { ...outcome, effect: "unknown" } };
  }
}

function endedNow(outcome: StepOutcome): EndedStep {
  return { outcome, endedAtMs: monotonicMs() };
}
