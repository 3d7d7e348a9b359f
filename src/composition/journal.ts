import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { storeOf } from "../journal/postgres/address.ts";
import { readSecretFile } from "../secret-file.ts";
import type { Observers } from "./observers.ts";

// Of this package, which is not published.
const VERSION = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;

/** Opens the journal, and removes what cut-off backups left. Throws `JournalOpenError` and `SecretFileError`. `onFatal`: its contents are in doubt. */
export async function openJournal(config: Config, observers: Observers, onFatal: (reason: string) => void): Promise<Journal> {
  const { log } = observers;
  const journal = await Journal.open(config.JOURNAL, {
    onFatal,
    onCommit: observers.onCommit,
    events: config.WEBHOOK_URL !== undefined,
    ...(storeOf(config.JOURNAL) === "postgres" && { cluster: await clusterOptions(config, observers) }),
    onHealth: (healthy, reason) =>
      healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
  });
  const cutOff = config.BACKUP_DIR === undefined ? [] : await journal.removeCutOffBackups(resolve(config.BACKUP_DIR));
  if (cutOff.length > 0) log.warn({ files: cutOff }, "backups were cut off: what they had left in BACKUP_DIR is removed");
  return journal;
}

/** How this process takes part in a cluster. */
async function clusterOptions(config: Config, { log, onFault }: Observers): Promise<NonNullable<JournalOptions["cluster"]>> {
  const { NODE_NAME: name, NODE_LEASE_MS: leaseMs, JOURNAL_PASSWORD_FILE: file } = config;
  const password = file === undefined ? undefined : async () => (await readSecretFile("JOURNAL_PASSWORD_FILE", file)).trim();
  // Also where this server asks for none.
  await password?.();
  return {
    node: { name, version: VERSION, leaseMs },
    ...(password !== undefined && { password }),
    callsEndMs: config.ORDER_TIMEOUT_MS + config.COMPENSATION_TIMEOUT_MS,
    onTakenOver: (node, orders) =>
      log.warn({ dead_node: node, orders }, "another node is dead: its orders are closed and are being compensated"),
    onEnded: (orders) =>
      log.warn({ orders }, "other nodes took this one for dead: the orders that it ran are closed, and it goes on as a new node"),
    onRestored: () => log.warn("the database came from a backup or has lost what came last: what was open is held until it is confirmed"),
    onFault,
  };
}
