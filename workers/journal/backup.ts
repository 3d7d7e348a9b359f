import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import type { BackupReply } from "../../src/journal/protocol.ts";
import { markBackup } from "./backup-mark.ts";
import { openForReading, syncDirectory } from "./open-database.ts";
import { makePrivate } from "./private-file.ts";
import { isBusy, troubleOf } from "./sqlite-trouble.ts";

// One step takes a helper thread some milliseconds. Between two steps this thread answers reads.
const PAGES_A_STEP = 500;
// A name that nothing else gives, so that what a killed process has left can be told from the files of others.
const PARTIAL = ".order-pipeline.partial";

/** Copies the journal to a new file while orders go on. The file gets its name when it is complete and durable. */
export async function backUp(journal: string, file: string): Promise<BackupReply> {
  const partial = `${file}${PARTIAL}`;
  let source: DatabaseSync | undefined;
  try {
    if ((await stat(file).catch(() => undefined)) !== undefined) return { exists: true };
    // A backup that was cut off left it, and SQLite would continue it.
    await remove(partial);
    source = openForReading(journal);
    // A read transaction. Without it every commit of the writer would restart the backup.
    source.exec("BEGIN; SELECT 1 FROM sqlite_schema");
    makePrivate(partial);
    await backup(source, partial, { rate: PAGES_A_STEP });
    source.exec("COMMIT");
    markBackup(partial);
    await rename(partial, file);
    syncDirectory(dirname(file));
    return { bytes: (await stat(file)).size };
  } catch (error) {
    await remove(partial).catch(() => {});
    const { code, message } = error as NodeJS.ErrnoException;
    return { failure: troubleOf(error) ?? code ?? message };
  } finally {
    source?.close();
  }
}

/** Removes what backups that were cut off left, but not one that is being written. Returns their names; what cannot be removed stays. */
export async function removeCutOff(directory: string): Promise<string[]> {
  const removed: string[] = [];
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const partial = join(directory, entry.name);
    if (!entry.isFile() || !entry.name.endsWith(PARTIAL) || isBeingWritten(partial)) continue;
    const isRemoved = await remove(partial).then(
      () => true,
      () => false,
    );
    if (isRemoved) removed.push(entry.name);
  }
  return removed;
}

/** SQLite has a backup locked while it writes it. */
function isBeingWritten(partial: string): boolean {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(partial, { timeout: 0 });
    db.exec("BEGIN EXCLUSIVE; ROLLBACK");
    return false;
  } catch (error) {
    return isBusy(error);
  } finally {
    db?.close();
  }
}

async function remove(partial: string): Promise<void> {
  // The file itself last: without it the others would never be found.
  for (const suffix of ["-wal", "-shm", "-journal", ""]) await rm(`${partial}${suffix}`, { force: true });
}
