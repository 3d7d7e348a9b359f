import type { CancelCause } from "../orders/cancel-cause.ts";
import type { AttemptInput, EndedStep } from "../orders/step.ts";
import type { StepGroup, StepRunner, StepSpec } from "../orders/step-runner.ts";
import type { CancelScope } from "../threads/index.ts";

/**
 * Runs steps by another runner, and ends the orders whose courier calls must not begin or go on. A step asks here before each of its calls: it
 * may have had its permit for long, if it tries again or the process was frozen. Main thread only.
 */
export class CourierCalls implements StepRunner {
  readonly #runner: StepRunner;
  readonly #held: () => number;
  readonly #underWay = new Set<CancelScope<CancelCause>>();

  /** `held`: how many couriers may be used now. */
  constructor(runner: StepRunner, held: () => number) {
    this.#runner = runner;
    this.#held = held;
  }

  open(scope: CancelScope<CancelCause>, priority?: number): StepGroup {
    const steps = this.#runner.open(scope, priority);
    return {
      run: (step, input) =>
        step.name === "courier" && step.action === "perform" ? this.#run(scope, steps, step, input) : steps.run(step, input),
      close: () => steps.close(),
    };
  }

  /** Cancels the orders whose courier calls are under way. */
  cutOff(): void {
    for (const scope of [...this.#underWay]) scope.cancel("deadline");
  }

  async #run(scope: CancelScope<CancelCause>, steps: StepGroup, step: StepSpec, input: AttemptInput): Promise<EndedStep> {
    // A group that is canceled before its step makes no call.
    if (this.#underWay.size >= this.#held()) scope.cancel("deadline");
    this.#underWay.add(scope);
    try {
      return await steps.run(step, input);
    } finally {
      this.#underWay.delete(scope);
    }
  }
}
