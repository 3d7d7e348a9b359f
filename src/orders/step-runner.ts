import type { CancelScope } from "../threads/index.ts";
import type { AttemptInput, EndedStep } from "./step.ts";

/** What the pipeline needs from whatever runs its steps. `threads` implements it; tests have their own. */
export interface StepRunner {
  /**
   * Opens a group of steps that are canceled together, by `scope` or by the first step that fails, unless that may be retried
   * (`unavailable`). The runner decides which cause came first, and the scope takes it. `priority`, 0 (urgent) to 2 (background), counts
   * where a step waits.
   */
  open(scope: CancelScope, priority?: number): StepGroup;
}

export interface StepGroup {
  /** Runs one step to its end. Never rejects: every fault is an outcome. In a canceled group it gives `canceled` and never runs. */
  run(step: StepSpec, input: AttemptInput): Promise<EndedStep>;
  /** Throws while a step of this group has not ended. */
  close(): void;
}

export interface StepSpec {
  readonly name: string;
  /** `compensate` takes back what `perform` did under the same order, attempt and step. */
  readonly action: "perform" | "compensate";
  /** Computes instead of waiting, so it gets a thread of its own. */
  readonly computes: boolean;
  /** May be run again when its thread is lost. */
  readonly retryable: boolean;
}
