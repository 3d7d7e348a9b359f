import type { Provider } from "../providers/provider.ts";
import type { Step } from "./step.ts";

/** Has the vendor accept the order; compensated, the acceptance is canceled. */
export function vendor(provider: Provider): Step {
  return {
    run: (input, context) => provider.perform("vendor", input, context),
    compensate: (input, context) => provider.compensate("vendor", input, context),
  };
}
