import type { StartOptions } from "../../src/service.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { RestateServer } from "../support/restate-server.ts";
import { startService, type TestService } from "../support/service.ts";

/** What tests of what both engines promise run on. */
export const ENGINES = ["embedded", "restate"] as const;

export type EngineName = (typeof ENGINES)[number];

/** Starts services on one engine. */
export interface TestEngine extends AsyncDisposable {
  readonly name: EngineName;
  /** Ready. With `restate` all services share one engine, and what it knows; of several the one that was started last executes orders. */
  start(overlay?: Readonly<Record<string, string>>, options?: Partial<StartOptions>): Promise<TestService>;
}

export async function startEngine(name: EngineName): Promise<TestEngine> {
  return name === "embedded" ? { name, start: startService, async [Symbol.asyncDispose]() {} } : await RestateTestEngine.start();
}

/** A real engine of one node. */
export class RestateTestEngine implements TestEngine {
  readonly name = "restate";
  readonly server: RestateServer;

  private constructor(server: RestateServer) {
    this.server = server;
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RestateTestEngine> {
    return new RestateTestEngine(await RestateServer.start(settings));
  }

  /** What a node needs to know of it. */
  get settings(): Record<string, string> {
    return {
      ENGINE: "restate",
      RESTATE_INGRESS_URL: this.server.ingressUrl,
      RESTATE_ADMIN_URL: this.server.adminUrl,
      RESTATE_ENDPOINT_PORT: "0",
    };
  }

  async start(overlay: Readonly<Record<string, string>> = {}, options: Partial<StartOptions> = {}): Promise<TestService> {
    const running = await startService({ ...this.settings, ...overlay }, options);
    await this.server.register(`http://127.0.0.1:${running.service.endpointPort}`);
    await eventually("the node to be ready", async () => (await send(running.port, { path: "/readyz" })).status === 200);
    return running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}
