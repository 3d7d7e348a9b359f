import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makePrivate } from "./private-file.ts";
import { isBusy, OpenFailed } from "./sqlite-trouble.ts";

// Long enough for the process that is being replaced to end, short enough for a quick error.
const WAIT_MS = 1_500;

/**
 * Makes this process the only one that serves the journal `file`, until it ends. Node has no `flock`: the lock is that of an empty database
 * beside it, so other processes can read the journal. Throws `OpenFailed` where another process has it. Returns what holds the lock.
 */
export function lockJournal(file: string, waitMs: number = WAIT_MS): DatabaseSync {
  // SQLite follows links, so a second name of the journal would be a second writer.
  const path = `${pathOf(file)}.lock`;
  makePrivate(path);
  const lock = new DatabaseSync(path, { timeout: waitMs });
  try {
    // This database stays empty, so its rollback journal needs no file.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) throw new OpenFailed("another process has it open");
    throw error;
  }
}

/** The one path of a file that may have several names, or be only the end of a link yet. Throws `OpenFailed` for a name that leads nowhere. */
export function pathOf(file: string): string {
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
  // The file does not exist yet, here or where a link leads.
  const path = join(realpathSync(dirname(file)), basename(file));
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  return isLink ? realPathOf(resolve(dirname(path), readlinkSync(path))) : path;
}
