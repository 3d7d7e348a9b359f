import { STEP_TABLE, type StepName } from "../steps.ts";

/**
 * How long a simulated provider takes, in milliseconds, where the order asks for `delayMs` and has the step compute for `cpuMs`. A step that
 * computes does not wait afterwards, unless the order asks for a delay too. Any thread.
 */
export function simulatedDelayMs(step: StepName, delayMs: number | undefined, cpuMs: number | undefined): number {
  return delayMs ?? (cpuMs === undefined ? STEP_TABLE[step].simulated.delayMs : 0);
}
