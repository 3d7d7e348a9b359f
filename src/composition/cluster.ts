import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { CourierShare } from "../couriers/courier-share.ts";
import { SharedCapacity } from "../couriers/shared-capacity.ts";
import type { Journal, JournalOptions } from "../journal/journal.ts";
import type { OnFault } from "../orders/faults.ts";
import { waitingOf } from "./capacities.ts";

// Of this package, which is not published.
const VERSION = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;

/** How this process takes part in a cluster, where its journal is on PostgreSQL. */
export function clusterOptions(config: Config, log: Logger, onFault: OnFault): NonNullable<JournalOptions["cluster"]> {
  const { NODE_NAME: name, NODE_LEASE_MS: leaseMs, JOURNAL_PASSWORD_FILE: passwordFile } = config;
  return {
    node: { name, version: VERSION, leaseMs },
    ...(passwordFile !== undefined && { password: () => readFileSync(passwordFile, "utf8").trim() }),
    callsEndMs: config.ORDER_TIMEOUT_MS + config.COMPENSATION_TIMEOUT_MS,
    onTakenOver: (node, orders) =>
      log.warn({ dead_node: node, orders }, "another node is dead: its orders are closed and are being compensated"),
    onEnded: (orders) =>
      log.warn({ orders }, "other nodes took this one for dead: the orders that it ran are closed, and it goes on as a new node"),
    onRestored: () => log.warn("the database came from a backup or has lost what came last: what was open is held until it is confirmed"),
    onFault,
  };
}

/** The couriers of a cluster, as this node shares them. */
export class Couriers {
  readonly capacity: SharedCapacity;
  readonly #config: Config;
  readonly #onFault: OnFault;

  constructor(config: Config, onFault: OnFault) {
    this.#config = config;
    this.#onFault = onFault;
    this.capacity = new SharedCapacity(config.COURIER_CAPACITY, waitingOf(config));
  }

  /** Asks for couriers from now on. */
  async join(cluster: NonNullable<Journal["cluster"]>): Promise<CourierShare> {
    const { shareCouriers } = await import("../journal/postgres/courier-shares.ts");
    return new CourierShare({
      capacity: this.capacity,
      total: this.#config.COURIER_CAPACITY,
      cancelGraceMs: this.#config.CANCEL_GRACE_MS,
      sureUntilMs: () => cluster.sureUntilMs(),
      sync: (request) => shareCouriers(cluster.sql, () => cluster.life, request),
      onFault: this.#onFault,
    });
  }
}
