import type { ProviderKeys } from "../src/provider-keys.ts";
import type { ProviderUrls } from "./providers/provider.ts";

/** What the composition root tells every thread: `ThreadSetup.settings` of `workers/main.ts`. Plain data and shared memory only. */
export interface WorkerSettings {
  readonly stickBegun: SharedArrayBuffer;
  readonly providerUrls?: ProviderUrls;
  readonly providerKeys?: ProviderKeys;
}
