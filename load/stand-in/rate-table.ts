import type { StepName } from "../../src/orders/step.ts";
import type { Action, Call } from "./call.ts";
import { drawManner, type Manner } from "./manner.ts";
import { checkRates, isCalm, type RateSettings, type Rates, ratesFor } from "./rates.ts";

const ANSWER: Manner = { type: "answer" };

/** The rates that are in force, worked out once for each kind of request, so that a call on a calm day costs no drawing. */
export class RateTable {
  /** Undefined where the day is calm. */
  readonly #rates = new Map<`${Action} ${StepName}`, Rates | undefined>();
  #settings: RateSettings = {};

  constructor(settings: RateSettings = {}) {
    this.set(settings);
  }

  /** Replaces all that were set before. Throws when these are no rates. */
  set(settings: RateSettings): void {
    this.#settings = checkRates(settings);
    this.#rates.clear();
  }

  /** How to treat a request. */
  draw(seed: string, call: Call): Manner {
    const { step, action } = call;
    const kind = `${action} ${step}` as const;
    let rates = this.#rates.get(kind);
    if (rates === undefined && !this.#rates.has(kind)) {
      const all = ratesFor(this.#settings, step, action);
      rates = isCalm(all) ? undefined : all;
      this.#rates.set(kind, rates);
    }
    return rates === undefined ? ANSWER : drawManner(rates, seed, call);
  }
}
