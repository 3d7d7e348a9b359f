import type { StepName } from "../../src/orders/steps.ts";
import type { Provider } from "../providers/provider.ts";
import type { Step } from "./step.ts";

/** A step of an order: its work is a call at its provider. */
export function providerStep(name: StepName, provider: Provider): Step {
  return {
    run: (input, context) => provider.perform(name, input, context),
    compensate: (input, context) => provider.compensate(name, input, context),
  };
}
