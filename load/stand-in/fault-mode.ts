import type { StepName } from "../../src/orders/steps.ts";
import type { Action, Call } from "./call.ts";
import { checkFaultRates, FAULT_MODES, type FaultRateSettings, type FaultRates, faultRatesFor, isCalm } from "./fault-rates.ts";
import { randomFrom } from "./random.ts";

/** How the stand-in treats one request. */
export interface FaultMode {
  readonly type: (typeof FAULT_MODES)[number] | "answer";
  /** What it answers instead of the usual status, where it answers. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before anything else. */
  readonly slowMs?: number;
  /** Before anything else, where a test says when. */
  readonly after?: Promise<unknown>;
  readonly lateMs?: number;
  readonly downMs?: number;
}

/** Draws a faultMode. The same seed, key and repetition always draw the same one. */
export function drawFaultMode(rates: FaultRates, seed: string, { key, nth }: Pick<Call, "key" | "nth">): FaultMode {
  const random = randomFrom(`${seed} ${nth} ${key}`);
  const within = ([least, most]: readonly [number, number]) => Math.round(least + random() * (most - least));
  const times = { lateMs: within(rates.lateMs), downMs: within(rates.downMs) };
  const slow = random() < rates.slow ? { slowMs: within(rates.slowMs) } : {};
  let left = random();
  for (const type of FAULT_MODES) {
    left -= rates[type];
    if (left < 0) return { type, ...times, ...slow, ...(type.startsWith("fail") && { status: rates.failStatus }) };
  }
  return { type: "answer", ...slow };
}

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
