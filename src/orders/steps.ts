import { courier } from "./steps/courier.ts";
import { payment } from "./steps/payment.ts";
import { vendor } from "./steps/vendor.ts";

/**
 * The steps of an order, in the order in which an answer lists them. This is the one place that lists them: settings, fields of the
 * request, capacities, calls, error kinds, metrics, documents and the stand-in for providers follow from it. CONTRIBUTING.md says how a step is added.
 */
export const STEP_TABLE = { payment, vendor, courier };

export type StepName = keyof typeof STEP_TABLE;

export const STEPS = Object.freeze(Object.keys(STEP_TABLE)) as readonly StepName[];

/** A value for each step. */
export function perStep<Value>(of: (step: StepName) => Value): Record<StepName, Value> {
  return Object.fromEntries(STEPS.map((step) => [step, of(step)])) as Record<StepName, Value>;
}

/** The settings of one kind, one a step: `perStepSetting("URL", ...)` makes `PAYMENT_URL` and so on. */
export function perStepSetting<Kind extends string, Value>(kind: Kind, of: (step: StepName) => Value) {
  return Object.fromEntries(STEPS.map((step) => [stepSetting(step, kind), of(step)])) as Record<StepSetting<Kind>, Value>;
}

export function stepSetting<Kind extends string>(step: StepName, kind: Kind): StepSetting<Kind> {
  return `${step.toUpperCase() as Uppercase<StepName>}_${kind}`;
}

export type StepSetting<Kind extends string> = `${Uppercase<StepName>}_${Kind}`;
