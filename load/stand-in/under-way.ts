import { perStep, type StepName } from "../../src/orders/steps.ts";

export type UnderWayCounts = Readonly<Record<StepName, number>>;

/** How many calls of each kind, compensations aside, a provider has before it now. */
export class UnderWay {
  readonly #counts: Record<StepName, number> = perStep(() => 0);

  began(step: StepName): void {
    this.#counts[step]++;
  }

  ended(step: StepName): void {
    this.#counts[step]--;
  }

  get counts(): UnderWayCounts {
    return { ...this.#counts };
  }
}
