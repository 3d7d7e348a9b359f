import { open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { backup, type DatabaseSync } from "node:sqlite";
import type { BackupReply } from "../../src/journal/protocol.ts";
import { markBackup } from "./backup-mark.ts";
import { openForReading } from "./open-database.ts";
import { troubleOf } from "./sqlite-trouble.ts";

// One step takes a helper thread some milliseconds. Between two steps this thread answers reads.
const PAGES_A_STEP = 500;

/**
 * Copies the journal, as it is at this moment, to a new file while orders go on. The file gets its name when it is complete and
 * durable.
 */
export async function backUp(journal: string, file: string): Promise<BackupReply> {
  if (journal === ":memory:") return { failure: "a journal in memory has no backup" };
  const partial = `${file}.partial`;
  let source: DatabaseSync | undefined;
  try {
    if ((await stat(file).catch(() => undefined)) !== undefined) return { exists: true };
    // A backup that was cut off left it, and SQLite would continue it.
    await remove(partial);
    source = openForReading(journal);
    // A read transaction. Without it every commit of the writer would restart the backup.
    source.exec("BEGIN; SELECT 1 FROM sqlite_schema");
    await backup(source, partial, { rate: PAGES_A_STEP });
    source.exec("COMMIT");
    markBackup(partial);
    await toDisk(partial);
    await rename(partial, file);
    await toDisk(dirname(file));
    return { bytes: (await stat(file)).size };
  } catch (error) {
    await remove(partial).catch(() => {});
    const { code, message } = error as NodeJS.ErrnoException;
    return { failure: troubleOf(error) ?? code ?? message };
  } finally {
    source?.close();
  }
}

async function remove(partial: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(`${partial}${suffix}`, { force: true });
}

async function toDisk(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}
