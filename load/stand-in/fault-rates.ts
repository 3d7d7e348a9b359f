import { STEPS, type StepName } from "../../src/orders/steps.ts";
import type { Action } from "./call.ts";

/** Shares of requests, 0 to 1, that are treated in each of these ways; together 1 at most. The rest is done and answered. */
export interface FaultRates {
  /** Takes the request and never answers; does nothing. Before all others: 1 means all, whatever else is set. */
  readonly hang: number;
  /** Says no: 402 to a payment, 503 to the others. A compensation gets 503 and is not done. */
  readonly refuse: number;
  /** `failStatus` without having acted, or having acted. */
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
  /** 300 to 599. */
  readonly failStatus: number;
  /** Milliseconds, least and most. */
  readonly slowMs: readonly [number, number];
  readonly lateMs: readonly [number, number];
  readonly downMs: readonly [number, number];
}

type FaultRatesAndCompensation = Partial<FaultRates> & { readonly compensate?: Partial<FaultRates> };

/** FaultRates for all requests, for one step's, for all compensations and for one step's compensations. The later of these goes before the earlier. */
export type FaultRateSettings = FaultRatesAndCompensation & { readonly [step in StepName]?: FaultRatesAndCompensation };

export const CALM: FaultRates = {
  hang: 0,
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
  failStatus: 500,
  slowMs: [50, 50],
  lateMs: [50, 300],
  downMs: [100, 500],
};

export const FAULT_MODES = [
  "hang",
  "refuse",
  "failBefore",
  "failAfter",
  "hangUpBefore",
  "hangUpAfter",
  "hangUpHalfway",
  "late",
  "endless",
  "down",
] as const satisfies readonly (keyof FaultRates)[];

/** The rates for one kind of request. */
export function faultRatesFor(settings: FaultRateSettings, step: StepName, action: Action): FaultRates {
  const compensate = action === "compensate" ? { ...settings.compensate, ...settings[step]?.compensate } : {};
  return { ...CALM, ...settings, ...settings[step], ...compensate };
}

/** Nothing out of the ordinary can come of them. */
export function isCalm(rates: FaultRates): boolean {
  return rates.slow === 0 && FAULT_MODES.every((faultMode) => rates[faultMode] === 0);
}

/** Throws with the field's name when `value` is not a setting of rates. A misspelt rate would make a chaos run a calm one. */
export function checkFaultRates(value: unknown, part = ""): FaultRateSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new RangeError(`${part || "rates"} must be an object`);
  let sum = 0;
  for (const [name, setting] of Object.entries(value)) {
    const path = part === "" ? name : `${part}.${name}`;
    if (isPart(name, part)) {
      checkFaultRates(setting, path);
    } else if (name === "slowMs" || name === "lateMs" || name === "downMs") {
      if (!isSpan(setting)) throw new RangeError(`${path} must be [least, most] in milliseconds`);
    } else if (name === "failStatus") {
      if (!Number.isInteger(setting) || setting < 300 || setting > 599) throw new RangeError(`${path} must be 300 to 599`);
    } else if (Object.hasOwn(CALM, name)) {
      if (typeof setting !== "number" || !(setting >= 0 && setting <= 1)) throw new RangeError(`${path} must be 0 to 1`);
      if (name !== "slow") sum += setting;
    } else {
      throw new RangeError(`${path} is not a rate`);
    }
  }
  if (sum > 1 + Number.EPSILON * FAULT_MODES.length) throw new RangeError(`${part || "all"} rates add up to ${sum}, more than 1`);
  return value as FaultRateSettings;
}

function isPart(name: string, within: string): boolean {
  if (name === "compensate") return within === "" || isStep(within);
  return within === "" && isStep(name);
}

function isStep(name: string): boolean {
  return STEPS.some((step) => step === name);
}

function isSpan(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [least, most] = value as [unknown, unknown];
  return typeof least === "number" && typeof most === "number" && least >= 0 && least <= most;
}
