import type { StepInput } from "../../src/orders/step.ts";
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
