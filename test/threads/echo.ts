import type { StepInput } from "../../src/orders/step.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { serve } from "../../workers/runtime/serve.ts";
import { StepFailed } from "../../workers/steps/step.ts";

/** The order whose first step ends its thread. */
const DEADLY = "deadly";
const ABSENT = "absent";

/** A worker file whose steps fail with their action and input as the provider's answer. `deaths`: one shared Int32. */
export const standingTask = serve(({ deaths }: { deaths: SharedArrayBuffer }) => {
  const count = new Int32Array(deaths);
  const echo = (action: string) => async (input: StepInput) => {
    if (input.orderId === DEADLY && Atomics.add(count, 0, 1) === 0) process.exit(1);
    const answer = JSON.stringify({ action, ...input }, (_, value) => (value === undefined ? ABSENT : value));
    throw new StepFailed("internal", "none", "as planned", { answer });
  };
  return Object.fromEntries(STEPS.map((name) => [name, { run: echo("perform"), compensate: echo("compensate") }]));
});
