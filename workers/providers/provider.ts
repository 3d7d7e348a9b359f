import type { StepInput } from "../../src/orders/step.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { TaskContext } from "../../src/threads/worker/index.ts";

/** Where the real providers are. A step without a URL is simulated. May carry a path and end in a slash. */
export type ProviderUrls = { readonly [step in StepName]?: string };

/**
 * What a step asks of the world outside. `perform` returns when the provider has done its part, throws `StepFailed` when it said no or
 * could not be reached, and lets `Canceled` pass; `compensate` returns only when that is compensated and, should it still come, will be
 * refused.
 */
export interface Provider {
  perform(step: StepName, input: StepInput, context: TaskContext): Promise<void>;
  compensate(step: StepName, input: StepInput, context: TaskContext): Promise<void>;
}
