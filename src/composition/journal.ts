import { resolve } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { storeOf } from "../journal/postgres/address.ts";
import type { OnFault } from "../orders/faults.ts";
import { clusterOptions } from "./cluster.ts";

/**
 * Opens the journal of this process, and removes what backups that were cut off have left. Throws `JournalOpenError`. `onFatal`: its contents
 * are in doubt, so the process has to end.
 */
export async function openJournal(
  config: Config,
  log: Logger,
  onFault: OnFault,
  callbacks: Required<Pick<JournalOptions, "onCommit" | "onFatal">>,
): Promise<Journal> {
  const journal = await Journal.open(config.JOURNAL, {
    ...callbacks,
    events: config.WEBHOOK_URL !== undefined,
    ...(storeOf(config.JOURNAL) === "postgres" && { cluster: clusterOptions(config, log, onFault) }),
    onHealth: (healthy, reason) =>
      healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
  });
  const cutOff = config.BACKUP_DIR === undefined ? [] : await journal.removeCutOffBackups(resolve(config.BACKUP_DIR));
  if (cutOff.length > 0) log.warn({ files: cutOff }, "backups were cut off: what they had left in BACKUP_DIR is removed");
  return journal;
}
