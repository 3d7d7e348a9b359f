import { STEPS, type StepName } from "../../orders/step.ts";
import type { Family } from "./family.ts";

/** Counts tries to compensate a step. Main thread only. */
export class CompensationMetrics {
  readonly #done = counts();
  readonly #failed = counts();

  tried(step: StepName, done: boolean): void {
    (done ? this.#done : this.#failed)[step]++;
  }

  family(): Family {
    return {
      name: "compensations_total",
      type: "counter",
      help: "Tries of a compensation that have ended, by what came of them.",
      samples: () =>
        STEPS.flatMap((step) => [
          { labels: { step, status: "done" }, value: this.#done[step] },
          { labels: { step, status: "failed" }, value: this.#failed[step] },
        ]),
    };
  }
}

function counts(): Record<StepName, number> {
  return { payment: 0, vendor: 0, courier: 0 };
}
