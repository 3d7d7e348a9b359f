import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const living = new Set<string>();
// Ctrl-C ends the process by `exit`, which waits for nothing asynchronous. At that time the engines are dead or dying.
process.once("exit", () => {
  for (const path of living) remove(path);
});

/** A directory for the data of engines. It goes when it is disposed of, or with this process. */
export class DataDirectory implements Disposable {
  readonly path: string;

  constructor(prefix: string) {
    this.path = mkdtempSync(join(tmpdir(), prefix));
    living.add(this.path);
  }

  [Symbol.dispose](): void {
    living.delete(this.path);
    remove(this.path);
  }
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
