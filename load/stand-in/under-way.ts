import { STEPS, type StepName } from "../../src/orders/steps.ts";

export type UnderWayCounts = Readonly<Record<StepName, { readonly now: number; readonly most: number }>>;

/** How many calls of each kind, compensations aside, a provider has before it at one time: what a capacity over all callers has to bound. */
export class UnderWay {
  readonly #counts = Object.fromEntries(STEPS.map((step) => [step, { now: 0, most: 0 }])) as Record<
    StepName,
    { now: number; most: number }
  >;

  began(step: StepName): void {
    const count = this.#counts[step];
    count.now++;
    count.most = Math.max(count.most, count.now);
  }

  ended(step: StepName): void {
    this.#counts[step].now--;
  }

  get counts(): UnderWayCounts {
    return structuredClone(this.#counts);
  }
}
