import { courier } from "./steps/courier.ts";
import { payment } from "./steps/payment.ts";
import { vendor } from "./steps/vendor.ts";

/**
 * The steps of an order, as an answer lists them. Settings, fields of the request, capacities, calls, error kinds, metrics, documents and
 * the stand-in for providers follow from this list. CONTRIBUTING.md says how a step is added.
 */
export const STEP_TABLE = { payment, vendor, courier };

export type StepName = keyof typeof STEP_TABLE;

export const STEPS = Object.freeze(Object.keys(STEP_TABLE)) as readonly StepName[];

export function perStep<Value>(of: (step: StepName) => Value): Record<StepName, Value> {
  return Object.fromEntries(STEPS.map((step) => [step, of(step)])) as Record<StepName, Value>;
}

/** How long a simulated provider takes. One that computes for `cpuMs` waits afterwards only where the order asks for `delayMs` too. */
export function simulatedDelayMs(step: StepName, delayMs: number | undefined, cpuMs: number | undefined): number {
  return delayMs ?? (cpuMs === undefined ? STEP_TABLE[step].simulated.delayMs : 0);
}

/** The settings of one kind, one a step: `perStepSetting("URL", ...)` makes `PAYMENT_URL` and so on. */
export function perStepSetting<Kind extends string, Value>(kind: Kind, of: (step: StepName) => Value) {
  return Object.fromEntries(STEPS.map((step) => [stepSetting(step, kind), of(step)])) as Record<StepSetting<Kind>, Value>;
}

export function stepSetting<Kind extends string>(step: StepName, kind: Kind): StepSetting<Kind> {
  return `${step.toUpperCase() as Uppercase<StepName>}_${kind}`;
}

export type StepSetting<Kind extends string> = `${Uppercase<StepName>}_${Kind}`;
