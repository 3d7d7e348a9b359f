import { closeSync, constants, fchmodSync, openSync } from "node:fs";

/**
 * Makes an empty file that only its owner can read and write, whatever the umask. An empty file is an empty database, and SQLite gives the log
 * and the shared memory beside a database the same mode. Does nothing where there is a file, whose mode is its owner's business, or where none
 * can be made, for which SQLite has the better message.
 */
export function makePrivate(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  } catch {
    return;
  }
  try {
    // A umask may have taken away even the owner's rights.
    fchmodSync(fd, 0o600);
  } finally {
    closeSync(fd);
  }
}
