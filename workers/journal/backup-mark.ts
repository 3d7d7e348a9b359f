import { closeSync, fsyncSync, openSync, readSync, realpathSync, statSync, writeSync } from "node:fs";
import { CLAIMED_ID } from "./migrate.ts";
import { OpenFailed } from "./sqlite-trouble.ts";

/** The application id of a backup, "ORDB", at the offset that SQLite's file format has for it. */
const BACKUP_ID = 0x4f524442;
const ID_OFFSET = 68;

/** Marks a complete database file as a backup, and makes all of it durable. No connection may have it open. */
export function markBackup(file: string): void {
  writeId(file, BACKUP_ID);
}

/**
 * Claims a backup for a journal: a log beside it is its own from now on. Throws `OpenFailed` where that of the replaced journal is there:
 * SQLite would apply it to this file. No connection may have the file open.
 */
export function claimBackup(file: string): void {
  if (readId(file) !== BACKUP_ID) return;
  // SQLite follows links, and has its log beside the file itself.
  const path = realpathSync(file);
  for (const log of ["-wal", "-journal"]) {
    if ((statSync(`${path}${log}`, { throwIfNoEntry: false })?.size ?? 0) === 0) continue;
    throw new OpenFailed("it is a backup, and the log of another journal stands beside it: remove its -wal, -shm and -journal first");
  }
  try {
    writeId(file, CLAIMED_ID);
  } catch (error) {
    throw new OpenFailed(`it is a backup that cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Undefined for what is not a readable file: SQLite has the better error message. */
function readId(file: string): number | undefined {
  try {
    if (!statSync(file).isFile()) return undefined;
    const id = Buffer.alloc(4);
    const fd = openSync(file, "r");
    try {
      return readSync(fd, id, 0, id.length, ID_OFFSET) === id.length ? id.readUInt32BE() : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function writeId(file: string, id: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(id);
  const fd = openSync(file, "r+");
  try {
    writeSync(fd, bytes, 0, bytes.length, ID_OFFSET);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
