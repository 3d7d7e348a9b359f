import { perStep, STEPS, type StepName } from "../../orders/steps.ts";
import type { Family } from "./family.ts";

/** Counts tries to compensate a step. Main thread only. */
export class CompensationMetrics {
  readonly #done = perStep(() => 0);
  readonly #failed = perStep(() => 0);

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
