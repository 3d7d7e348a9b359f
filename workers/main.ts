import { providerFor } from "./providers/choose.ts";
import { serve } from "./runtime/serve.ts";
import type { WorkerSettings } from "./settings.ts";
import { courier } from "./steps/courier.ts";
import { payment } from "./steps/payment.ts";
import { stick } from "./steps/stick.ts";
import { vendor } from "./steps/vendor.ts";

/** The file that Piscina loads on each of its threads, and where a new step is added. */
export default serve((settings: WorkerSettings) => {
  const provider = providerFor(settings.providerUrls, settings.providerKeys);
  return {
    payment: payment(provider),
    vendor: vendor(provider),
    courier: courier(provider),
    stick: stick(settings.stickBegun),
  };
});
