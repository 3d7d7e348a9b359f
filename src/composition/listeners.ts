import type { Express } from "express";
import type { Config } from "../config.ts";
import { type Listener, listen } from "../http/listener.ts";
import type { OnFault } from "../orders/faults.ts";

/** Both listeners of the service, from its settings. */
export class Listeners {
  readonly #config: Config;
  readonly #common: Pick<
    Parameters<typeof listen>[0],
    "allowedHosts" | "keepAliveTimeoutMs" | "headersTimeoutMs" | "requestTimeoutMs" | "onFault"
  >;

  constructor(config: Config, onFault: OnFault) {
    this.#config = config;
    this.#common = {
      allowedHosts: config.ALLOWED_HOSTS ?? [],
      keepAliveTimeoutMs: config.KEEP_ALIVE_TIMEOUT_MS,
      headersTimeoutMs: config.HEADERS_TIMEOUT_MS,
      requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
      onFault,
    };
  }

  /** Throws `ListenError`. */
  openPublic(app: Express): Promise<Listener> {
    const { HOST: host, PORT: port, MAX_CONNECTIONS: maxConnections } = this.#config;
    return listen({ ...this.#common, name: "PORT", host, port, app, anyNameFromOutside: true, maxConnections });
  }

  /** Throws `ListenError`. */
  openAdmin(app: Express): Promise<Listener> {
    const { ADMIN_HOST: host, ADMIN_PORT: port } = this.#config;
    return listen({ ...this.#common, name: "ADMIN_PORT", host, port, app, anyNameFromOutside: false });
  }
}
