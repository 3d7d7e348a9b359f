import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { identify } from "./identify.ts";
import { migrate } from "./migrate.ts";
import { OpenFailed } from "./open-failed.ts";
import type { JournalSettings } from "./protocol.ts";
import { troubleOf } from "./sqlite-trouble.ts";

// Long enough for the process that is being replaced to let go of the file, short enough to be told soon.
const BUSY_TIMEOUT_MS = 1_500;
// The index by order id is written at random places; what fits in here need not be read again.
const CACHE_KIB = 65_536;
// In pages. A page that is written many times between two checkpoints goes to the database file once. Reading a log of
// this length (32 MB) at start takes about 0.1 s.
const CHECKPOINT_PAGES = 8_000;

/**
 * Opens, checks and migrates the journal's database. On return it has taken a write to the disk and no other process can
 * open it until this one ends. Throws `OpenFailed` where the operator can mend the reason.
 */
export function openDatabase({ file, maxPages }: JournalSettings): DatabaseSync {
  const inMemory = file.startsWith("file:");
  if (!inMemory) makeDirectoryOf(file);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    // Before the first access: then the index of the log is kept in this process's memory and there is no file to share it by.
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    // And before anything is changed in a file that may be somebody else's.
    const version = identify(db);
    const mode = db.prepare("PRAGMA journal_mode = WAL").get();
    if (mode?.journal_mode !== "wal" && !inMemory) throw new OpenFailed("its file system cannot hold a write-ahead log");
    db.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA temp_store = MEMORY;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    `);
    if (maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    migrate(db, version);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof OpenFailed) throw error;
    const trouble = troubleOf(error);
    throw trouble === undefined ? error : new OpenFailed(isDirectory(file) ? "it is a directory" : trouble);
  }
}

function makeDirectoryOf(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw new OpenFailed(`its directory cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
}

function isDirectory(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
