import { MAX_HOLD_MS } from "../retries/circuit-breaker.ts";
import { EndpointHealth, type EndpointOutcome } from "../retries/endpoint-health.ts";
import { CancelScope, type Clock } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { Tried } from "./compensating.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { AttemptInput, StepOutcome } from "./step.ts";
import type { StepRunner } from "./step-runner.ts";
import { STEPS, type StepName } from "./steps.ts";

// A provider's bulkhead: how many of its compensations may be under way, of orders that fail now and of the backlog. Two limits, so that
// neither kind keeps the other waiting. Some dozens are enough for 2000 a second at 10 ms a call.
export const FIRST_TRIES = 64;
export const RETRIES = 32;
/** How many compensations may be under way at one time; the step runner needs room for as many runs. */
export const MAX_COMPENSATING = STEPS.length * (FIRST_TRIES + RETRIES);
/** How long a first try may wait for its bulkhead. The client's answer waits no longer either. After that its row is due. */
export const LINE_MS = 500;

/** A try that no order waits for. Times are on the clock of `monotonicMs`. */
export interface RetriedCompensation {
  /** Has a trace of its own: the order's trace ended long ago. */
  readonly input: AttemptInput;
  readonly step: StepName;
  /** Tries before this one. */
  readonly tries: number;
  readonly done: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export interface CompensationCallParts {
  readonly runner: StepRunner;
  /** Deadline of one call. The order's has often passed already. */
  readonly timeoutMs: number;
  /** Shared with the orders' calls, so that each side knows what the other has learned of a provider. */
  readonly providers?: ProviderHealths;
  /** A try that has ended. */
  readonly onTried?: (step: StepName, done: boolean) => void;
}

export interface CompensationHealthParts {
  readonly providers?: ProviderHealths;
  /** A provider has stopped taking compensations (true), or takes them again (false). */
  readonly onDown?: (step: StepName, down: boolean) => void;
  readonly clock: Clock;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
}

/** The health of the address that compensates a step. Follows the circuit of the step's provider. */
export function compensationHealth(step: StepName, { providers, onDown, clock, random }: CompensationHealthParts): EndpointHealth {
  const health = new EndpointHealth({
    clock,
    ...(random !== undefined && { random }),
    maxInFlight: FIRST_TRIES + RETRIES,
    onDown: (down) => onDown?.(step, down),
  });
  // Apart from the circuit: a compensation can wait for its turn and an order cannot, and perhaps only this address fails.
  const circuit = providers?.[step]?.circuit;
  circuit?.onChange((state) => (state === "open" ? health.takeDown() : health.answered()));
  circuit?.onHold((ms) => health.pause(ms));
  return health;
}

/**
 * Compensates a step once, on a step thread. Undefined when `stop` has cut the call off. Throws when the runner has no room. Main thread
 * only.
 */
export async function compensateOnce(
  { runner, timeoutMs, providers, onTried }: CompensationCallParts,
  health: EndpointHealth,
  stop: CancelScope<CancelCause>,
  step: StepName,
  input: AttemptInput,
  triesBefore: number,
): Promise<Tried | undefined> {
  const epoch = health.begin();
  let verdict: EndpointOutcome;
  try {
    const scope = new CancelScope<CancelCause>();
    const steps = runner.open(scope);
    const stopTimer = scope.cancelAfter(timeoutMs);
    const linked = scope.link(stop);
    const { outcome } = await steps.run({ name: step, action: "compensate", computes: false, retryable: true }, input);
    steps.close();
    stopTimer();
    linked.unsubscribe();
    verdict = verdictOn(outcome, triesBefore);
    providers?.[step]?.compensationEnded(outcome);
    const tried = triedOf(outcome, timeoutMs);
    if (tried !== undefined) onTried?.(step, tried.done);
    return tried;
  } finally {
    health.end(epoch, verdict);
  }
}

function triedOf(outcome: StepOutcome, timeoutMs: number): Tried | undefined {
  switch (outcome.status) {
    case "ok":
      return { done: true };
    case "failed":
      return { done: false, lastAnswer: outcome.answer ?? outcome.kind };
    case "lost":
      return { done: false, lastAnswer: "its thread was lost" };
    case "canceled":
      return outcome.cause === "deadline" ? { done: false, lastAnswer: `no answer in ${timeoutMs} ms` } : undefined;
  }
}

/** What a try says about its provider. */
function verdictOn(outcome: StepOutcome, triesBefore: number): EndpointOutcome {
  if (outcome.status === "ok") return "ok";
  if (outcome.status === "lost" || (outcome.status === "canceled" && outcome.cause !== "deadline")) return undefined;
  const answer = outcome.status === "failed" ? outcome.answer : undefined;
  const overloaded = answer === "HTTP 429";
  // This compensation was tried before. A few that a provider always refuses must not make the provider look down.
  if (triesBefore > 0 && !overloaded && answer?.startsWith("HTTP 4")) return undefined;
  return { counts: true, overloaded, pauseMs: holdMsOf(outcome) };
}

function holdMsOf(outcome: StepOutcome): number {
  return outcome.status === "failed" ? Math.min(MAX_HOLD_MS, outcome.unavailable?.retryAfterMs ?? 0) : 0;
}
