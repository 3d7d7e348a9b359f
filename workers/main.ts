import { perStep } from "../src/orders/steps.ts";
import { providerFor } from "./providers/choose.ts";
import { serve } from "./runtime/serve.ts";
import type { WorkerSettings } from "./settings.ts";
import { providerStep } from "./steps/provider-step.ts";
import { stick } from "./steps/stick.ts";

/** The file that Piscina loads on each of its threads. */
export const standingTask = serve((settings: WorkerSettings) => {
  const provider = providerFor(settings.providerUrls, settings.providerKeys);
  return { ...perStep((step) => providerStep(step, provider)), stick: stick(settings.stickBegun) };
});
