import type { StepInput } from "../../src/orders/step.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { StepFailed } from "../../workers/steps/step.ts";
import { tasksOf } from "../../workers/steps/tasks-of.ts";

/** The order whose first step ends its thread. */
export const DEADLY = "deadly";
export const ABSENT = "absent";

/** A file of tasks whose steps fail with their action and input as the provider's answer. `deaths`: one shared Int32. */
export const tasks = tasksOf(({ deaths }: { deaths: SharedArrayBuffer; tracing?: boolean }) => {
  const count = new Int32Array(deaths);
  const echo = (action: string) => async (input: StepInput) => {
    if (input.orderId === DEADLY && Atomics.add(count, 0, 1) === 0) process.exit(1);
    const answer = JSON.stringify({ action, ...input }, (_, value) => (value === undefined ? ABSENT : value));
    throw new StepFailed("internal", "none", "as planned", { answer });
  };
  return Object.fromEntries(STEPS.map((name) => [name, { run: echo("perform"), compensate: echo("compensate") }]));
});
