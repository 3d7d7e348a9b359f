import type { Provider } from "../providers/provider.ts";
import type { Step } from "./step.ts";

/** Charges the customer; compensated, the charge is refunded. */
export function payment(provider: Provider): Step {
  return {
    run: (input, context) => provider.perform("payment", input, context),
    compensate: (input, context) => provider.compensate("payment", input, context),
  };
}
