import type { Provider } from "../providers/provider.ts";
import type { Step } from "../runtime/step.ts";

/** Assigns a courier; undone, the courier is released. */
export function courier(provider: Provider): Step {
  return {
    run: (input, context) => provider.perform("courier", input, context),
    undo: (input, context) => provider.undo("courier", input, context),
  };
}
