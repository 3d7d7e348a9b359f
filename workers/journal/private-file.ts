import { closeSync, constants, fchmodSync, openSync } from "node:fs";

/**
 * Makes an empty file, which is an empty database, for its owner alone, whatever the umask; SQLite gives the log beside it the same mode.
 * Leaves a file that is there as it is. Where none can be made SQLite has the better message.
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
