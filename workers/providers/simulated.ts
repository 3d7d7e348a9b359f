import type { StepInput } from "../../src/orders/step.ts";
import { STEP_TABLE, type StepName, simulatedDelayMs } from "../../src/orders/steps.ts";
import type { TaskContext } from "../../src/threads/worker/index.ts";
import { StepFailed } from "../steps/step.ts";
import type { Provider } from "./provider.ts";

/** A provider inside the thread. It acts only at its very end, so a step that was canceled before has surely had no effect. */
export const simulatedProvider: Provider = {
  perform(step, input, context) {
    const cpuMs = input.simulation.cpuMs ?? 0;
    if (cpuMs > 0) return computeAndWait(cpuMs, step, input, context);
    return wait(step, input, context);
  },

  async compensate(_step, _input, context) {
    context.checkpoint();
  },
};

async function computeAndWait(cpuMs: number, step: StepName, input: StepInput, context: TaskContext): Promise<void> {
  compute(cpuMs, context);
  await wait(step, input, context);
}

/** Keeps nothing of the order while it waits: a load test may have ten thousand of them wait for minutes. */
function wait(step: StepName, input: StepInput, context: TaskContext): Promise<void> {
  const { fails, delayMs, cpuMs } = input.simulation;
  const slept = context.sleep(simulatedDelayMs(step, delayMs, cpuMs));
  if (!fails) return slept;
  return slept.then(() => {
    throw new StepFailed(STEP_TABLE[step].simulated.failsWith, "none", `simulated ${step} failed`);
  });
}

function compute(ms: number, context: TaskContext): void {
  const end = performance.now() + ms;
  let x = 1;
  while (performance.now() < end) {
    // Some microseconds of arithmetic between two looks at the cancel word, far less than the millisecond allowed.
    for (let n = 0; n < 2000; n++) x = (x * 48271) % 2147483647;
    context.checkpoint();
  }
}
