import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OpenFailed } from "./sqlite-trouble.ts";

// Long enough for the process that is being replaced to let go, short enough to be told soon.
const WAIT_MS = 1_500;
const BUSY = 5;

/**
 * Makes this process the only one that serves the journal `file`, until the process ends, however it does. Node has no `flock`, so
 * the lock is that of an empty SQLite database beside the journal: the journal itself stays open to readers of other processes.
 * Throws `OpenFailed` where another process has it. Returns what holds the lock.
 */
export function lockJournal(file: string, waitMs: number = WAIT_MS): DatabaseSync {
  const lock = new DatabaseSync(`${pathOf(file)}.lock`, { timeout: waitMs });
  try {
    // It never holds anything, so its journal needs no file.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === BUSY) throw new OpenFailed("another process has it open");
    throw error;
  }
}

/** All names of a file are one lock. SQLite follows links to the file too, and the journal would have two writers. */
function pathOf(file: string): string {
  try {
    return realPathOf(file);
  } catch (error) {
    throw new OpenFailed(`its name leads nowhere (${(error as NodeJS.ErrnoException).code})`);
  }
}

function realPathOf(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // It is still to be made, here or where a link says.
  const path = join(realpathSync(dirname(file)), basename(file));
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  return isLink ? realPathOf(resolve(dirname(path), readlinkSync(path))) : path;
}
