import type { Express } from "express";
import type { ListenerCounts } from "../admin/metrics/listener-metrics.ts";
import type { Config } from "../config.ts";
import { type Listener, type ListenOptions, listen } from "../http/listener.ts";
import type { OnFault } from "../orders/faults.ts";
import type { Access } from "./access.ts";

type Common = Pick<ListenOptions, "allowedHosts" | "keepAliveTimeoutMs" | "headersTimeoutMs" | "requestTimeoutMs" | "onFault">;

// Operators, their pages and Prometheus need some tens. A further one costs the one that has been idle longest, so probes are always answered.
const MAX_ADMIN_CONNECTIONS = 1_000;

/** Both listeners of the service, from its settings. */
export class Listeners {
  readonly #config: Config;
  readonly #common: Common;
  readonly #opened: { readonly name: ListenerCounts["listener"]; readonly listener: Listener }[] = [];

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
    const { HOST: host, PORT: port, MAX_CONNECTIONS: max, MAX_CONNECTIONS_PER_ADDRESS: maxPerAddress } = this.#config;
    const limits = { max, maxPerAddress, unreadMs: this.#config.REQUEST_TIMEOUT_MS };
    return this.#open("public", { name: "PORT", host, port, app, anyNameFromOutside: true, limits });
  }

  /** Throws `ListenError`. */
  openAdmin(app: Express): Promise<Listener> {
    const { ADMIN_HOST: host, ADMIN_PORT: port } = this.#config;
    const limits = { max: MAX_ADMIN_CONNECTIONS };
    return this.#open("admin", { name: "ADMIN_PORT", host, port, app, anyNameFromOutside: false, limits });
  }

  /** What the open listeners have counted, with the keys of their clients. */
  counts({ adminKeys, apiKeys }: Pick<Access, "adminKeys" | "apiKeys">): ListenerCounts[] {
    return this.#opened.map(({ name, listener: { connections } }) => {
      const keys = name === "public" ? apiKeys : adminKeys;
      return { listener: name, open: connections.open, closed: connections.closed, unauthorized: keys?.refused ?? 0 };
    });
  }

  async #open(name: ListenerCounts["listener"], own: Omit<ListenOptions, keyof Common>): Promise<Listener> {
    const listener = await listen({ ...this.#common, ...own });
    this.#opened.push({ name, listener });
    return listener;
  }
}
