import type { StepName } from "../../src/orders/steps.ts";
import type { Action, Call } from "./call.ts";
import { drawFaultMode, type FaultMode } from "./fault-mode.ts";
import { checkFaultRates, type FaultRateSettings, type FaultRates, faultRatesFor, isCalm } from "./fault-rates.ts";

const ANSWER: FaultMode = { type: "answer" };

/** The rates that are in force, worked out once for each kind of request, so that a call on a calm day costs no drawing. */
export class FaultRateTable {
  /** Undefined where the day is calm. */
  readonly #rates = new Map<`${Action} ${StepName}`, FaultRates | undefined>();
  #settings: FaultRateSettings = {};

  constructor(settings: FaultRateSettings = {}) {
    this.set(settings);
  }

  /** Replaces all that were set before. Throws when these are no rates. */
  set(settings: FaultRateSettings): void {
    this.#settings = checkFaultRates(settings);
    this.#rates.clear();
  }

  /** How to treat a request. */
  draw(seed: string, call: Call): FaultMode {
    const { step, action } = call;
    const kind = `${action} ${step}` as const;
    let rates = this.#rates.get(kind);
    if (rates === undefined && !this.#rates.has(kind)) {
      const all = faultRatesFor(this.#settings, step, action);
      rates = isCalm(all) ? undefined : all;
      this.#rates.set(kind, rates);
    }
    return rates === undefined ? ANSWER : drawFaultMode(rates, seed, call);
  }
}
