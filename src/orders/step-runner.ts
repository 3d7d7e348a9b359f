import type { CancelScope } from "../concurrency/cancel-scope.ts";
import type { EndedStep, StepInput } from "./step.ts";

/** What the pipeline needs from whatever runs its steps. `threads` implements it; tests have their own. */
export interface StepRunner {
  /**
   * Opens a group: steps that are canceled together, by `scope` or by the first of them that fails. The runner may tell the
   * others of a failure before the scope hears of it, but not of one that is `ill`: that step may be run again. It decides which of
   * the two came first, and the scope takes that cause. Close the group when all of its steps have ended. `urgency`, 0 (most) to 7,
   * counts where a step waits for a thread of its own.
   */
  open(scope: CancelScope, urgency?: number): StepGroup;
}

export interface StepGroup {
  /**
   * Runs one step to its end. Never rejects: every fault is an outcome. A group that is canceled before
   * the step began gives `canceled` with effect `none`, and the step never runs.
   */
  run(step: StepSpec, input: StepInput): Promise<EndedStep>;
  /** Throws while a step of this group has not ended. */
  close(): void;
}

export interface StepSpec {
  readonly name: string;
  /** `compensate` takes back what `do` did under the same order, attempt and step. */
  readonly action: "perform" | "compensate";
  /** Computes instead of waiting, so it gets a thread of its own. */
  readonly computes: boolean;
  /** May be run again when its thread is lost under it. */
  readonly retryable: boolean;
}
