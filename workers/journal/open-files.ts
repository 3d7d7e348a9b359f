import { statSync } from "node:fs";
import { dirname } from "node:path";

// Within this time of a change a second one may leave a directory with the same time: the coarsest file systems count in two seconds.
const CLOCK_STEP_MS = 2_000;

/**
 * The files of a journal that is open. SQLite goes on in a file that somebody has removed, and all that is written there is gone with the
 * process; in place of one that was replaced the next start finds another journal.
 *
 * Whoever removes or replaces a file changes its directory. So while that is as it was, the files are too, which is a look at one thing
 * after each commit instead of four. Git trusts a file's time with the same caution.
 */
export class OpenFiles {
  readonly #files: ReadonlyMap<string, string | undefined>;
  readonly #directories: readonly string[];
  /** How the directories were when the files were last found there; undefined where that says too little. */
  #unchanged: string | undefined;

  /** `file` and `lock` as SQLite has opened them, links resolved. */
  constructor(file: string, lock: string) {
    this.#files = new Map([file, `${file}-wal`, `${file}-shm`, lock].map((path) => [path, identityOf(path)]));
    this.#directories = [...new Set([dirname(file), dirname(lock)])];
  }

  /** The first one that is not there any more, undefined while all are. Takes some microseconds. */
  lost(): string | undefined {
    const nowMs = Date.now();
    let state = "";
    let isCertain = true;
    for (const path of this.#directories) {
      const found = statSync(path, { throwIfNoEntry: false });
      state += `${found?.dev} ${found?.ino} ${found?.mtimeMs};`;
      isCertain &&= found !== undefined && nowMs - found.mtimeMs > CLOCK_STEP_MS;
    }
    if (state === this.#unchanged) return undefined;
    for (const [path, identity] of this.#files) if (identityOf(path) !== identity) return path;
    this.#unchanged = isCertain ? state : undefined;
    return undefined;
  }
}

function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev} ${found.ino}`;
}
