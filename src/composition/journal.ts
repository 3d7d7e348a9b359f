import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { SqliteJournal, type SqliteJournalOptions } from "../journal/sqlite-journal.ts";

/** Opens the journal file of this process. Throws `JournalOpenError`. `onFatal`: its contents are in doubt, so the process has to end. */
export function openJournal(
  config: Config,
  log: Logger,
  callbacks: Required<Pick<SqliteJournalOptions, "onCommit" | "onFatal">>,
): Promise<SqliteJournal> {
  return SqliteJournal.open(config.JOURNAL, {
    ...callbacks,
    events: config.WEBHOOK_URL !== undefined,
    onHealth: (healthy, reason) =>
      healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
  });
}
