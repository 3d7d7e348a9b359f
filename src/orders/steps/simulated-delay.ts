import { STEP_TABLE, type StepName } from "../steps.ts";

/** How long a simulated provider takes. One that computes for `cpuMs` waits afterwards only where the order asks for `delayMs` too. */
export function simulatedDelayMs(step: StepName, delayMs: number | undefined, cpuMs: number | undefined): number {
  return delayMs ?? (cpuMs === undefined ? STEP_TABLE[step].simulated.delayMs : 0);
}
