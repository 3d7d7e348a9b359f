import type { CancelCause } from "./cancel-cause.ts";
import type { OrderErrorKind } from "./error-kind.ts";
import type { Effect, EndedStep, StepOutcome } from "./step.ts";
import { STEPS, type StepName } from "./steps.ts";

/** How one step of an order ended, where, and how long it took since the order began. */
export interface StepReport extends EndedStep {
  readonly name: StepName;
  readonly durationMs: number;
}

/** How an order ended. Times are on the clock of `monotonicMs`. */
export interface OrderOutcome {
  readonly steps: readonly StepReport[];
  /** When its steps were asked for. */
  readonly startedAtMs: number;
  /** Absent for a placed order. */
  readonly error?: OrderErrorKind;
  /** Why steps were canceled, and since when; absent where none was. */
  readonly canceled?: { readonly cause: CancelCause; readonly atMs: number };
  /** When the provider that failed it first, or that provider's circuit, may take it, as far as that is known. */
  readonly retryAfterMs?: number;
}

/**
 * The kind of a failed order. What came first decides, a failure or a cancel from outside: what steps do after it is only how they stop.
 * Every step ok means the order is placed: a cancel is not retroactive.
 */
export function errorOf(
  ended: readonly Pick<EndedStep, "outcome">[],
  firstFailure: number | undefined,
  cause: CancelCause | undefined,
): OrderErrorKind | undefined {
  if (ended.every(({ outcome }) => outcome.status === "ok")) return undefined;
  switch (cause) {
    case "deadline":
      return "timeout";
    case "client_disconnected":
    case "shutdown":
      return "canceled";
    default: {
      const first = firstFailure === undefined ? undefined : ended[firstFailure]?.outcome;
      return first?.status === "failed" ? first.kind : "internal";
    }
  }
}

/** The outcome of an order whose steps have ended. `firstFailure`: an index. `canceledAtMs`: when its scope was canceled. */
export function outcomeOfSteps(
  steps: readonly StepReport[],
  startedAtMs: number,
  firstFailure: number | undefined,
  cause: CancelCause | undefined,
  canceledAtMs: number | undefined,
): OrderOutcome {
  const error = errorOf(steps, firstFailure, cause);
  if (error === undefined) return { steps, startedAtMs };
  const first = firstFailure === undefined ? undefined : steps[firstFailure];
  // A step that fails cancels its siblings from its own thread, before the scope on the main thread is canceled.
  const atMs = cause === "sibling_failed" && first !== undefined ? first.endedAtMs : canceledAtMs;
  const canceled = cause === undefined || atMs === undefined ? {} : { canceled: { cause, atMs } };
  return { steps, startedAtMs, error, ...canceled, ...retryAfter(first?.outcome, error) };
}

function retryAfter(first: StepOutcome | undefined, error: OrderErrorKind): Pick<OrderOutcome, "retryAfterMs"> {
  if (first?.status !== "failed" || first.kind !== error || first.unavailable?.retryAfterMs === undefined) return {};
  return { retryAfterMs: first.unavailable.retryAfterMs };
}

/** The outcome of an order that failed by a fault of this service. `effect`: `none` if no step began, `unknown` if that is in doubt. */
export function failedByFault(effect: Effect, endedAtMs: number): OrderOutcome {
  const outcome = { status: "failed", kind: "internal", effect } as const;
  return { steps: STEPS.map((name) => ({ name, outcome, durationMs: 0, endedAtMs })), startedAtMs: endedAtMs, error: "internal" };
}

/** The steps of a failed order that have to be compensated: those that finished, and those in doubt. */
export function stepsToCompensate(steps: readonly StepReport[]): StepName[] {
  return steps.filter(({ outcome }) => outcome.status === "ok" || outcome.effect === "unknown").map(({ name }) => name);
}
