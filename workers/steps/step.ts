import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect, StepInput, Unavailable } from "../../src/orders/step.ts";
import type { StepFailure } from "../../src/orders/step-task.ts";
import { Failure, type TaskContext } from "../../src/threads/worker/index.ts";

/**
 * A step as its author writes it. `run` returns when the step is done, throws `StepFailed` to fail with a kind, and lets `Canceled` pass.
 * It should stop soon after its cancel: nobody waits longer than the grace.
 */
export interface Step {
  run(input: StepInput, context: TaskContext): Promise<void>;
  /** Takes back what `run` did or may still do, any number of times. Steps without effects leave it out. */
  compensate?(input: StepInput, context: TaskContext): Promise<void>;
}

export type StepRegistry = Readonly<Record<string, Step>>;

/** Thrown by a step that failed in a way its callers know. Crosses the thread boundary as data, never as this object. */
export class StepFailed extends Failure<StepFailure> {
  /**
   * `effect`: `unknown` where the provider may have done its part all the same. `answer`, for operators: at most 200 characters, never a
   * provider's own text, a URL or a key. `unavailable`: the same call may be made again before the order fails.
   */
  constructor(kind: StepErrorKind, effect: Effect, message: string, more: { answer?: string; unavailable?: Unavailable | undefined } = {}) {
    const { answer, unavailable } = more;
    const isPlain = answer === undefined && unavailable === undefined;
    super(isPlain ? [kind, effect] : [kind, effect, answer, unavailable], message, { keepsSiblings: unavailable !== undefined });
  }
}
