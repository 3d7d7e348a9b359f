import type { StepName } from "../../src/orders/steps.ts";
import type { ProviderKeys } from "../../src/provider-keys.ts";
import { httpProvider } from "./http.ts";
import type { Provider, ProviderUrls } from "./provider.ts";
import { simulatedProvider } from "./simulated.ts";

/** One provider for all steps: over HTTP where a step has a URL, simulated where it has none. */
export function providerFor(urls: ProviderUrls = {}, keys: ProviderKeys = {}): Provider {
  const http = httpProvider(urls, keys);
  const of = (step: StepName) => (urls[step] === undefined ? simulatedProvider : http);
  return {
    perform: (step, input, context) => of(step).perform(step, input, context),
    compensate: (step, input, context) => of(step).compensate(step, input, context),
  };
}
