import type { Logger } from "pino";
import type { ProviderUrls } from "../../workers/providers/provider.ts";
import type { Config } from "../config.ts";
import { ProviderHealth, type ProviderHealthOptions } from "../orders/provider-health.ts";
import { STEPS, type StepName, stepSetting } from "../orders/steps.ts";
import type { CircuitState } from "../resilience/circuit-breaker.ts";

/** Where the real providers are; a step without one is simulated. */
export function providerUrlsOf(config: Config): ProviderUrls {
  const urls = STEPS.map((step) => [step, config[stepSetting(step, "URL")]] as const);
  return Object.fromEntries(urls.filter(([, url]) => url !== undefined));
}

/** The health of each real provider. */
export function providerHealthsOf(
  urls: ProviderUrls,
  log: Logger,
  options: Pick<ProviderHealthOptions, "opensAfter" | "maxTries"> | undefined,
): { readonly [step in StepName]?: ProviderHealth } {
  return Object.fromEntries(
    (Object.keys(urls) as StepName[]).map((step) => {
      const onChange = (state: CircuitState, reason: string) =>
        state === "open" ? log.warn({ step, reason }, "circuit opened") : log.info({ step, reason }, `circuit ${state}`);
      const health = new ProviderHealth(options);
      health.circuit.onChange(onChange);
      return [step, health];
    }),
  );
}
