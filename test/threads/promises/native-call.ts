import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Threads } from "../../../src/threads/index.ts";
import { eventually } from "../../support/eventually.ts";

/** The file that tasks read in native calls: a call lasts until `end`. Dispose of it only when the calls have ended. */
export class NativeCall implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "native-call-"));
  readonly fifo = join(this.#directory, "fifo");

  constructor() {
    execFileSync("mkfifo", [this.fifo]);
  }

  /** Resolves when no thread is left. */
  async end(threads: Pick<Threads, "alive">): Promise<void> {
    await eventually("the threads in native calls end", () => {
      try {
        closeSync(openSync(this.fifo, constants.O_WRONLY | constants.O_NONBLOCK));
      } catch (error) {
        // Nobody reads just now.
        if ((error as NodeJS.ErrnoException).code !== "ENXIO") throw error;
      }
      return threads.alive === 0;
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}
