import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { APPLICATION_ID } from "./identify.ts";
import { OpenFailed } from "./sqlite-trouble.ts";

/** In place of the application id in a backup: "ORDB". Its four bytes are at this place of every SQLite file. */
const BACKUP_ID = 0x4f524442;
const ID_OFFSET = 68;

/** Marks a whole database file that nobody has open as a backup. Its caller brings it to the disk. */
export function markBackup(file: string): void {
  writeId(file, BACKUP_ID);
}

/**
 * Makes a backup that was put in a journal's place a journal. Throws `OpenFailed` where the log of the journal before stands beside
 * it still: SQLite would take that log for this file's, and both would be lost. The mark goes before the file has a log of its own.
 */
export function unmarkBackup(file: string): void {
  if (readId(file) !== BACKUP_ID) return;
  if ((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) {
    throw new OpenFailed("it is a backup, and the log of another journal stands beside it: remove its -wal and -shm first");
  }
  try {
    writeId(file, APPLICATION_ID);
  } catch (error) {
    throw new OpenFailed(`it is a backup that cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Undefined for what is no file that can be read; what is wrong with it SQLite says better. */
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
