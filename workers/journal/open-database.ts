import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JournalSettings } from "../../src/journal/protocol.ts";
import { claimBackup } from "./backup-mark.ts";
import { lockJournal, pathOf } from "./lock.ts";
import { identify, migrate } from "./migrate.ts";
import { makePrivate } from "./private-file.ts";
import { OpenFailed, troubleOf } from "./sqlite-trouble.ts";

// Another process may write, such as a person at a prompt: its transaction may take this long.
const BUSY_TIMEOUT_MS = 1_500;
// Once it has taken longer, nobody waits so long again until it is over: batches wait for each other, and an order is refused late enough.
const HELD_TIMEOUT_MS = 100;
// Order ids hit their index at random places. Pages in the cache need no second read. The size is a guess.
const CACHE_KIB = 16_384;
// A long read of another process makes the log grow. Later it is truncated to this.
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/** The writer's connection, and the lock that keeps other writers out. */
export interface OpenDatabase {
  readonly db: DatabaseSync;
  readonly lock: DatabaseSync;
}

/**
 * Opens, locks, checks and migrates the database. One write is durable then. Throws `OpenFailed` where the operator can mend the reason.
 */
export function openForWriting({ file, maxPages, lockWaitMs }: JournalSettings): OpenDatabase {
  let lock: DatabaseSync | undefined;
  let db: DatabaseSync | undefined;
  try {
    makeDirectory(dirname(file));
    if (isDirectory(file)) throw new OpenFailed("it is a directory");
    lock = lockJournal(file, lockWaitMs);
    makePrivate(pathOf(file));
    claimBackup(file);
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    // Before the first change: the file may belong to another program.
    const { version, isBackup } = identify(db);
    const mode = db.prepare("PRAGMA journal_mode = WAL").get();
    if (mode?.journal_mode !== "wal") throw new OpenFailed("its file system cannot hold a write-ahead log");
    db.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA temp_store = MEMORY;
      PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES};
    `);
    // SQLite hides the errors of its own checkpoints; see Checkpoints.
    db.exec("PRAGMA wal_autocheckpoint = 0");
    // The kernel's cache may show pages that an earlier run could not make durable. They are written once more, into the database, before
    // anything relies on them. Where a reader of another process is in the way, they stay in the log.
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    if (maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    migrate(db, version, isBackup);
    // The log of a large one would be read at every start.
    if (isBackup) db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return { db, lock };
  } catch (error) {
    db?.close();
    lock?.close();
    if (error instanceof OpenFailed) throw error;
    const trouble = troubleOf(error);
    throw trouble === undefined ? error : new OpenFailed(trouble);
  }
}

/** How long a write waits for another process from now on; `isHeld`: one has waited in vain, and none has got through since. */
export function waitForOthers(db: DatabaseSync, isHeld: boolean): void {
  db.exec(`PRAGMA busy_timeout = ${isHeld ? HELD_TIMEOUT_MS : BUSY_TIMEOUT_MS}`);
}

/** A connection that reads committed rows and waits for no writer. This process must have the journal open for writing. */
export function openForReading(file: string): DatabaseSync {
  return new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
}

/** Node's recursive `mkdir` never returns where a parent cannot be made, as under /proc. */
function makeDirectory(directory: string): void {
  if (isDirectory(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  try {
    mkdirSync(directory);
    // Whatever the umask.
    chmodSync(directory, 0o700);
    // The journal would be lost with its directory.
    syncDirectory(parent);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" || !isDirectory(directory)) throw new OpenFailed(`its directory cannot be made (${code})`);
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
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
