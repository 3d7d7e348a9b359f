import type { CancelCause } from "./cancel-cause.ts";
import type { StepErrorKind } from "./error-kind.ts";
import type { StepName } from "./steps.ts";

/** An order as a client asks for it, checked. */
export interface Order {
  readonly orderId: string;
  /** Minor units, 1 to 2^53-1. */
  readonly amount: number;
  readonly simulation?: Simulation;
}

/** What the steps of one attempt at an order work on. Nothing that JSON cannot carry. */
export interface AttemptInput extends Order {
  /** 1 for the first attempt at this order id; part of every idempotency key. */
  readonly attempt: number;
  readonly traceparent?: string;
}

/** What one of those steps gets on its thread. */
export interface StepInput extends Pick<AttemptInput, "orderId" | "amount" | "attempt"> {
  readonly traceparent: string | undefined;
  /** The step's own part of its order's `Simulation`. */
  readonly simulation: { readonly fails: boolean; readonly delayMs: number | undefined; readonly cpuMs: number | undefined };
}

/** How the simulated providers behave for one order. Times in milliseconds, 0 to 600000. */
export interface Simulation {
  readonly failStep?: StepName;
  readonly delayMs?: Partial<Record<StepName, number>>;
  readonly cpuMs?: Partial<Record<StepName, number>>;
}

/**
 * How a step ended: what it did, not what the board says afterwards. Data, because an error that crosses a thread boundary loses its class.
 *
 * `effect`: what a step that did not end ok has left at its provider, `none` (surely nothing) or `unknown`, which has to be compensated.
 * `answer`: what the provider answered to a failed compensation, for operators, at most 200 characters. `unavailable`: the provider cannot
 * work now, so the same call may go well later.
 */
export type StepOutcome =
  | { readonly status: "ok" }
  | {
      readonly status: "failed";
      readonly kind: StepErrorKind;
      readonly effect: Effect;
      readonly answer?: string;
      readonly unavailable?: Unavailable;
    }
  | { readonly status: "canceled"; readonly cause: CancelCause; readonly effect: Effect }
  | { readonly status: "lost"; readonly reason: string; readonly effect: Effect };

/** A provider that could not be reached, or that says it cannot work now. */
export interface Unavailable {
  /** How long it asks to be left alone. */
  readonly retryAfterMs?: number;
}

export type Effect = "none" | "unknown";

/** An outcome, and when and where it came about. Times are on the clock of `monotonicMs`. */
export interface EndedStep {
  readonly outcome: StepOutcome;
  readonly endedAtMs: number;
  /** Unknown where it never came to a thread, or its thread is lost. */
  readonly startedAtMs?: number | undefined;
  readonly threadId?: number | undefined;
}
