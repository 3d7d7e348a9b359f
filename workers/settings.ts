import type { ProviderKeys } from "../src/provider-keys.ts";
import type { ProviderUrls } from "./providers/provider.ts";

/** What the composition root tells every step thread. Plain data and shared memory only. */
export interface WorkerSettings {
  readonly stickBegun: SharedArrayBuffer;
  /** Whether steps have spans where their order is sampled. */
  readonly tracing: boolean;
  readonly providerUrls?: ProviderUrls;
  readonly providerKeys?: ProviderKeys;
}
