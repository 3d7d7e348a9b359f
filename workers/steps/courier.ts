import type { Provider } from "../providers/provider.ts";
import type { Step } from "./step.ts";

/** Assigns a courier; compensated, the courier is released. */
export function courier(provider: Provider): Step {
  return {
    run: (input, context) => provider.perform("courier", input, context),
    compensate: (input, context) => provider.compensate("courier", input, context),
  };
}
