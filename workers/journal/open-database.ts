import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JournalSettings } from "../../src/journal/protocol.ts";
import { unmarkBackup } from "./backup-mark.ts";
import { identify } from "./identify.ts";
import { lockJournal } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { OpenFailed, troubleOf } from "./sqlite-trouble.ts";

// For a writer of another process, such as a person at a prompt, to end its transaction.
const BUSY_TIMEOUT_MS = 1_500;
// The index by order id is written at random places; what fits in here need not be read again.
const CACHE_KIB = 16_384;
// After a log that a long read of another process has held up, the room is given back.
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/** The writer's connection, and what keeps other processes from being one. */
export interface OpenDatabase {
  readonly db: DatabaseSync;
  readonly lock?: DatabaseSync;
}

/**
 * Opens, locks, checks and migrates the journal's database. On return it has taken a write to the disk. Throws `OpenFailed`
 * where the operator can mend the reason.
 */
export function openForWriting({ file, maxPages, lockWaitMs }: JournalSettings): OpenDatabase {
  const inMemory = file === ":memory:";
  let lock: DatabaseSync | undefined;
  let db: DatabaseSync | undefined;
  try {
    if (!inMemory) {
      makeDirectory(dirname(file));
      if (isDirectory(file)) throw new OpenFailed("it is a directory");
      lock = lockJournal(file, lockWaitMs);
      unmarkBackup(file);
    }
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    // Before anything is changed in a file that may be somebody else's.
    const version = identify(db);
    // Only a file that has no page yet takes this; an older journal keeps its free pages until a `VACUUM`.
    if (version === 0) db.exec("PRAGMA auto_vacuum = INCREMENTAL");
    const mode = db.prepare("PRAGMA journal_mode = WAL").get();
    if (mode?.journal_mode !== "wal" && !inMemory) throw new OpenFailed("its file system cannot hold a write-ahead log");
    db.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA temp_store = MEMORY;
      PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES};
    `);
    // SQLite hides what goes wrong in a checkpoint that it makes by itself; see Checkpoints.
    db.exec("PRAGMA wal_autocheckpoint = 0");
    // What a run before this one could not bring to the disk may still be read as if it were there. From here it is written once more,
    // into the database, before anything is built on it. A reader of another process may be in the way: then it stays in the log.
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    if (maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    migrate(db, version);
    return { db, ...(lock !== undefined && { lock }) };
  } catch (error) {
    db?.close();
    lock?.close();
    if (error instanceof OpenFailed) throw error;
    const trouble = troubleOf(error);
    throw trouble === undefined ? error : new OpenFailed(trouble);
  }
}

/** A connection that sees what is committed and waits for no writer. The journal must be open for writing in this process. */
export function openForReading(file: string): DatabaseSync {
  return new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
}

/** Node's own way of making parents never returns where a parent cannot be made, as under /proc. */
function makeDirectory(directory: string): void {
  if (isDirectory(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" || !isDirectory(directory)) throw new OpenFailed(`its directory cannot be made (${code})`);
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    // Such as a parent that is a file.
    return false;
  }
}
