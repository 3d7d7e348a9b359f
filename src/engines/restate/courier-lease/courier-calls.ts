import type { CancelScope } from "../../../concurrency/cancel-scope.ts";
import type { EndedStep, StepInput } from "../../../orders/step.ts";
import type { StepGroup, StepRunner, StepSpec } from "../../../orders/step-runner.ts";

/** Runs steps by another runner and knows which courier calls are under way, so that all can be ended at once. */
export class CourierCalls implements StepRunner {
  readonly #runner: StepRunner;
  // At most as many as there are couriers, so a search costs nothing.
  readonly #underWay: CancelScope[] = [];

  constructor(runner: StepRunner) {
    this.#runner = runner;
  }

  open(scope: CancelScope, urgency?: number): StepGroup {
    const steps = this.#runner.open(scope, urgency);
    return {
      run: (step, input) => (isCourierCall(step) ? this.#watch(steps, scope, step, input) : steps.run(step, input)),
      close: () => steps.close(),
    };
  }

  /** Cancels the orders whose courier is being called, with `deadline`: time is up for that call. */
  readonly cutOff = (): void => {
    for (const scope of [...this.#underWay]) scope.cancel("deadline");
  };

  async #watch(steps: StepGroup, scope: CancelScope, step: StepSpec, input: StepInput): Promise<EndedStep> {
    this.#underWay.push(scope);
    try {
      return await steps.run(step, input);
    } finally {
      this.#underWay.splice(this.#underWay.indexOf(scope), 1);
    }
  }
}

function isCourierCall({ name, action }: StepSpec): boolean {
  return name === "courier" && action === "do";
}
