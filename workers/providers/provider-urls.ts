import type { StepName } from "../../src/orders/step.ts";

/** Where the real providers are. A step without a URL is simulated. May carry a path and end in a slash. */
export interface ProviderUrls {
  readonly payment?: string | undefined;
  readonly vendor?: string | undefined;
  readonly courier?: string | undefined;
}

/** The address of one of a provider's calls. Throws when the step has no URL, or none that is one. */
export function providerEndpoint(urls: ProviderUrls, step: StepName, path: string): URL {
  const base = urls[step];
  if (base === undefined) throw new Error(`the ${step} provider has no URL`);
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return url;
}
