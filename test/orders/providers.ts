import { type StandIn, type StandInOptions, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import type { StartOptions } from "../../src/service.ts";
import { startService, type TestService } from "../support/service.ts";

export interface Fixture extends AsyncDisposable {
  readonly standIn: StandIn;
  readonly running: TestService;
  readonly port: number;
}

/** A service on real HTTP providers that are in this process. */
export async function startWithProviders(
  overlay: Readonly<Record<string, string>> = {},
  options: StandInOptions = {},
  startOptions: Partial<StartOptions> = {},
): Promise<Fixture> {
  const standIn = await startStandIn(options);
  const urls = { ...perStepSetting("URL", () => standIn.url) };
  const running = await startService({ ...urls, ...overlay }, startOptions);
  return {
    standIn,
    running,
    port: running.port,
    async [Symbol.asyncDispose]() {
      await running.stop();
      await standIn.close();
    },
  };
}
