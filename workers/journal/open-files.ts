import { statSync } from "node:fs";
import { dirname } from "node:path";

// A second change within this time may leave the directory's time as it is: the coarsest file systems count in two seconds.
const CLOCK_STEP_MS = 2_000;

/**
 * The files of an open journal. SQLite continues in a file that was removed, and its rows end with the process. While the directory is
 * unchanged the files are, so a commit needs one `stat` instead of four; Git trusts a file's time with the same caution.
 */
export class OpenFiles {
  readonly #files: ReadonlyMap<string, string | undefined>;
  readonly #directories: readonly string[];
  /** State of the directories when the files were last found; undefined where a change could hide. */
  #unchanged: string | undefined;

  /** `file` and `lock` as SQLite has opened them, links resolved. */
  constructor(file: string, lock: string) {
    this.#files = new Map([file, `${file}-wal`, `${file}-shm`, lock].map((path) => [path, identityOf(path)]));
    this.#directories = [...new Set([dirname(file), dirname(lock)])];
  }

  /** The first file that is gone or another, undefined while none is. Takes some microseconds. */
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
