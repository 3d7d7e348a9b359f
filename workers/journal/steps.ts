import type { StepName } from "../../src/orders/step.ts";

/** `satisfies` makes the compiler name a step that is forgotten here, which would never be compensated. */
export const STEPS = Object.keys({ payment: true, vendor: true, courier: true } satisfies Record<StepName, true>) as StepName[];
