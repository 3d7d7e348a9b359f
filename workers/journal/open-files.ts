import { statSync } from "node:fs";

/**
 * The files of a journal that is open. SQLite goes on in a file that somebody has removed, and all that is written there is gone with the
 * process; in place of one that was replaced the next start finds another journal.
 */
export class OpenFiles {
  readonly #identities: ReadonlyMap<string, string | undefined>;

  /** `file` and `lock` as SQLite has opened them, links resolved. */
  constructor(file: string, lock: string) {
    this.#identities = new Map([file, `${file}-wal`, `${file}-shm`, lock].map((path) => [path, identityOf(path)]));
  }

  /** The first one that is not there any more, undefined while all are. Takes some microseconds. */
  lost(): string | undefined {
    for (const [path, identity] of this.#identities) if (identityOf(path) !== identity) return path;
    return undefined;
  }
}

function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev} ${found.ino}`;
}
