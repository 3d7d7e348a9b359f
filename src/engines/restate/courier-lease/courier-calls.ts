import type { CancelScope } from "../../../concurrency/cancel-scope.ts";
import type { StepInput } from "../../../orders/step.ts";
import type { StepRun, StepRunner, StepSpec } from "../../../orders/step-runner.ts";

/** Runs steps by another runner and knows which courier calls are under way, so that all can be ended at once. */
export class CourierCalls implements StepRunner {
  readonly #runner: StepRunner;
  // At most as many as there are couriers, so a search costs nothing.
  readonly #underWay: CancelScope[] = [];

  constructor(runner: StepRunner) {
    this.#runner = runner;
  }

  open(scope: CancelScope, urgency?: number): StepRun {
    const run = this.#runner.open(scope, urgency);
    return {
      get cause() {
        return run.cause;
      },
      run: (step, input) => (isCourierCall(step) ? this.#watch(run, scope, step, input) : run.run(step, input)),
      close: () => run.close(),
    };
  }

  /** Cancels the orders whose courier is being called, with `deadline`: time is up for that call. */
  readonly cutOff = (): void => {
    for (const scope of [...this.#underWay]) scope.cancel("deadline");
  };

  async #watch(run: StepRun, scope: CancelScope, step: StepSpec, input: StepInput): ReturnType<StepRun["run"]> {
    this.#underWay.push(scope);
    try {
      return await run.run(step, input);
    } finally {
      this.#underWay.splice(this.#underWay.indexOf(scope), 1);
    }
  }
}

function isCourierCall({ name, action }: StepSpec): boolean {
  return name === "courier" && action === "do";
}
