import type { BackupDone } from "../orders/operator-journal.ts";
import type { Answers, JournalSettings, Operation, OperationName, Query, QueryName, Results } from "./protocol.ts";

/** Where a journal keeps its rows. Main thread only; it never waits for the disk. */
export interface JournalStore {
  /** False after a failed write, until one works again; on PostgreSQL while there is no session. */
  readonly healthy: boolean;
  /** Resolves when durable. Rejects with `JournalUnavailable` or the operation's own fault; then it had no effect. */
  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]>;
  /** Rejects with `JournalUnavailable`, and with `JournalBusy` where too many wait. */
  read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]>;
  /** Absent where it makes none; so is the next. */
  backup?(file: string): Promise<BackupDone>;
  /** Removes what backups that were cut off have left in a directory. Returns their names. */
  removeCutOffBackups?(directory: string): Promise<readonly string[]>;
  /** Ends a thread as an accident would. For tests. */
  kill?(role: JournalSettings["role"]): void;
  /** Lets what is under way end, and refuses what comes later. */
  close(): Promise<void>;
}

/** The journal did not open; the message is one line that names the setting, its value and the reason. */
export class JournalOpenError extends Error {
  constructor(journal: string, reason: string) {
    super(`JOURNAL=${JSON.stringify(journal)}: ${reason}`);
    this.name = "JournalOpenError";
  }
}
