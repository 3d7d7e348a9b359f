import { STEPS, type StepName } from "../../src/orders/step.ts";
import type { Action } from "./call.ts";

/** Shares of requests, 0 to 1, that are treated in each of these ways; together 1 at most. The rest is done and answered. */
export interface Rates {
  /** Says no: 402 to a payment, 503 to the others. An undo gets 503 and is not done. */
  readonly refuse: number;
  /** 500 without having acted, or having acted. */
  readonly failBefore: number;
  readonly failAfter: number;
  /** The connection is reset without having acted, closed without an answer having acted, or closed in the middle of the answer. */
  readonly hangUpBefore: number;
  readonly hangUpAfter: number;
  readonly hangUpHalfway: number;
  /** Acts after `lateMs` whether or not the client is still there. */
  readonly late: number;
  /** Acts, and answers with a body that never ends. */
  readonly endless: number;
  /** Goes down for `downMs`: this request, all connections and all new ones break. */
  readonly down: number;
  /** Beside the above: first takes `slowMs`, and does nothing if the client leaves meanwhile. */
  readonly slow: number;
  /** Milliseconds, least and most. */
  readonly slowMs: readonly [number, number];
  readonly lateMs: readonly [number, number];
  readonly downMs: readonly [number, number];
}

/** Rates for all requests, for one step's and for undos. The later of these goes before the earlier. */
export type RateSettings = Partial<Rates> & { readonly [part in StepName | "undo"]?: Partial<Rates> };

export const CALM: Rates = {
  refuse: 0,
  failBefore: 0,
  failAfter: 0,
  hangUpBefore: 0,
  hangUpAfter: 0,
  hangUpHalfway: 0,
  late: 0,
  endless: 0,
  down: 0,
  slow: 0,
  slowMs: [50, 50],
  lateMs: [50, 300],
  downMs: [100, 500],
};

export const MANNERS = [
  "refuse",
  "failBefore",
  "failAfter",
  "hangUpBefore",
  "hangUpAfter",
  "hangUpHalfway",
  "late",
  "endless",
  "down",
] as const satisfies readonly (keyof Rates)[];

/** The rates for one kind of request. */
export function ratesFor(settings: RateSettings, step: StepName, action: Action): Rates {
  return { ...CALM, ...settings, ...settings[step], ...(action === "undo" ? settings.undo : {}) };
}

/** Throws with the field's name when `value` is not a setting of rates. A misspelt rate would make a chaos run a calm one. */
export function checkRates(value: unknown, part = ""): RateSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new RangeError(`${part || "rates"} must be an object`);
  let sum = 0;
  for (const [name, setting] of Object.entries(value)) {
    const path = part === "" ? name : `${part}.${name}`;
    if (part === "" && (name === "undo" || STEPS.some((step) => step === name))) {
      checkRates(setting, name);
    } else if (name === "slowMs" || name === "lateMs" || name === "downMs") {
      if (!isSpan(setting)) throw new RangeError(`${path} must be [least, most] in milliseconds`);
    } else if (Object.hasOwn(CALM, name)) {
      if (typeof setting !== "number" || !(setting >= 0 && setting <= 1)) throw new RangeError(`${path} must be 0 to 1`);
      if (name !== "slow") sum += setting;
    } else {
      throw new RangeError(`${path} is not a rate`);
    }
  }
  if (sum > 1 + Number.EPSILON * MANNERS.length) throw new RangeError(`${part || "all"} rates add up to ${sum}, more than 1`);
  return value as RateSettings;
}

function isSpan(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [least, most] = value as [unknown, unknown];
  return typeof least === "number" && typeof most === "number" && least >= 0 && least <= most;
}
