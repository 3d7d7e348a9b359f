import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect, StepInput, Unavailable } from "../../src/orders/step.ts";
import type { StepContext } from "./step-context.ts";

/**
 * A step as its author writes it. `run` returns when the step is done, throws `StepFailed` to fail with a
 * kind, and lets the `Canceled` of its context pass. It should stop soon after its cancel: a thread whose
 * step has not stopped when the grace is over is replaced.
 */
export interface Step {
  run(input: StepInput, context: StepContext): Promise<void>;
  /** Takes back what `run` did or may still do, any number of times. Steps without effects leave it out. */
  compensate?(input: StepInput, context: StepContext): Promise<void>;
}

export type StepRegistry = Readonly<Record<string, Step>>;

/** Thrown by a step that failed in a way its callers know. Crosses the thread boundary as data, never as this object. */
export class StepFailed extends Error {
  readonly kind: StepErrorKind;
  readonly effect: Effect;
  readonly answer: string | undefined;
  readonly unavailable: Unavailable | undefined;

  /**
   * `effect`: `unknown` where the provider may have done its part all the same. `answer`: what it answered, for operators:
   * one line of at most 200 characters, never a provider's own text, a URL or a key. `unavailable`: the provider cannot work now, so the
   * same call may be made again before the order fails.
   */
  constructor(kind: StepErrorKind, effect: Effect, message: string, more: { answer?: string; unavailable?: Unavailable | undefined } = {}) {
    const limit = Error.stackTraceLimit;
    // An expected failure is not a bug, so nobody reads its stack.
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.name = "StepFailed";
    this.kind = kind;
    this.effect = effect;
    this.answer = more.answer;
    this.unavailable = more.unavailable;
  }
}
