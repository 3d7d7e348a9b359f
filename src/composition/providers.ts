import type { Logger } from "pino";
import type { ProviderUrls } from "../../workers/providers/provider-urls.ts";
import type { Config } from "../config.ts";
import { ProviderHealth, type ProviderHealthOptions } from "../orders/provider-health.ts";
import type { StepName } from "../orders/step.ts";
import type { CircuitState } from "../retries/circuit-breaker.ts";

/** Where the real providers are; a step without one is simulated. */
export function providerUrlsOf(config: Config): ProviderUrls {
  return {
    ...(config.PAYMENT_URL !== undefined && { payment: config.PAYMENT_URL }),
    ...(config.VENDOR_URL !== undefined && { vendor: config.VENDOR_URL }),
    ...(config.COURIER_URL !== undefined && { courier: config.COURIER_URL }),
  };
}

/** What is known of how each real provider is. */
export function providerHealthsOf(
  urls: ProviderUrls,
  log: Logger,
  options: Pick<ProviderHealthOptions, "opensAfter" | "maxTries"> | undefined,
): { readonly [step in StepName]?: ProviderHealth } {
  return Object.fromEntries(
    (Object.keys(urls) as StepName[]).map((step) => {
      const onChange = (state: CircuitState, reason: string) =>
        state === "open" ? log.warn({ step, reason }, "circuit opened") : log.info({ step, reason }, `circuit ${state}`);
      return [step, new ProviderHealth({ ...options, onChange })];
    }),
  );
}
