/** The journal cannot be opened for a reason that the operator can mend; the message is that reason. */
export class OpenFailed extends Error {}

/** SQLite's result codes about the file or the machine, not about one statement, in words. */
const TROUBLE: ReadonlyMap<number, string> = new Map([
  [3, "access is denied"],
  [5, "another process has it open"],
  [6, "another process has it open"],
  [7, "out of memory"],
  [8, "it is read-only"],
  [9, "interrupted"],
  [10, "the disk reports an error"],
  [11, "it is damaged"],
  [13, "the disk is full"],
  [14, "it or its directory cannot be opened for writing"],
  [15, "another process has it open"],
  [26, "it is not a journal: not a SQLite database"],
]);

const BUSY = 5;
const READ_ONLY = 8;
const FULL = 13;

/**
 * Whether the disk is in doubt after a commit or checkpoint that ended so: pages may be there, or dropped by the kernel after a failed
 * `fsync`. Only after "busy", "read-only" and "full" has surely nothing changed.
 */
export function leavesDiskInDoubt(error: unknown): boolean {
  return ![BUSY, READ_ONLY, FULL].includes(((error as { errcode?: number }).errcode ?? 0) & 0xff);
}

/** Another connection has the database locked. */
export function isBusy(error: unknown): boolean {
  return (((error as { errcode?: number }).errcode ?? 0) & 0xff) === BUSY;
}

/** What is wrong with the database as a whole, in words; undefined when the error concerns a single statement or is a bug. */
export function troubleOf(error: unknown): string | undefined {
  const { errcode, errstr } = error as { errcode?: number; errstr?: string };
  if (errcode === undefined) return undefined;
  // The low byte is the primary code; the rest specializes it.
  const words = TROUBLE.get(errcode & 0xff);
  return words === undefined ? undefined : `${words} (SQLite ${errcode}: ${errstr ?? "?"})`;
}
