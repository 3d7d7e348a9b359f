import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { StepInput, StepName } from "../../src/orders/step.ts";
import type { StepContext } from "../runtime/step-context.ts";
import { StepFailed } from "../runtime/step-failed.ts";
import type { Provider } from "./provider.ts";

const DEFAULT_DELAY_MS: Record<StepName, number> = { payment: 150, vendor: 200, courier: 100 };

const FAILURE: Record<StepName, StepErrorKind> = {
  payment: "payment_declined",
  vendor: "vendor_unavailable",
  courier: "no_courier",
};

/**
 * A provider inside the thread: takes its time or computes, then succeeds or fails as the order says. It acts only
 * at its very end, so a step that was canceled before has surely had no effect and there is nothing to undo.
 */
export const simulatedProvider: Provider = {
  async perform(step, input, context) {
    compute(input.simulation?.cpuMs?.[step] ?? 0, context);
    await context.sleep(delayOf(step, input));
    if (input.simulation?.failStep === step) throw new StepFailed(FAILURE[step], "none", `simulated ${step} failed`);
  },

  async undo(_step, _input, context) {
    context.checkpoint();
  },
};

function delayOf(step: StepName, input: StepInput): number {
  const { simulation } = input;
  if (simulation?.delayMs?.[step] !== undefined) return simulation.delayMs[step];
  // "How long that step computes instead of waiting."
  return simulation?.cpuMs?.[step] !== undefined ? 0 : DEFAULT_DELAY_MS[step];
}

function compute(ms: number, context: StepContext): void {
  if (ms === 0) return;
  const end = performance.now() + ms;
  let x = 1;
  while (performance.now() < end) {
    // Some microseconds of arithmetic between two looks at the cancel word, far less than the millisecond allowed.
    for (let n = 0; n < 2000; n++) x = (x * 48271) % 2147483647;
    context.checkpoint();
  }
}
