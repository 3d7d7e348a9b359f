import { type StandIn, type StandInOptions, startStandIn } from "../../load/stand-in/stand-in.ts";
import { startService, type TestService } from "../support/service.ts";

export interface Rig extends AsyncDisposable {
  readonly standIn: StandIn;
  readonly running: TestService;
  readonly port: number;
}

/** A service on real HTTP providers that are in this process. */
export async function startWithProviders(overlay: Readonly<Record<string, string>> = {}, options: StandInOptions = {}): Promise<Rig> {
  const standIn = await startStandIn(options);
  const running = await startService({ PAYMENT_URL: standIn.url, VENDOR_URL: standIn.url, COURIER_URL: standIn.url, ...overlay });
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
