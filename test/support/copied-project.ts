import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** What a clone does not have, or what is large and the same in a copy. */
const NOT_COPIED = ["node_modules", ".git", "data"];

/** A copy of the project, to be changed. It goes when it is disposed. */
export class CopiedProject implements Disposable {
  readonly directory: string;

  constructor(name: string) {
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
    const names = readdirSync(PROJECT).filter((entry) => !NOT_COPIED.includes(entry));
    for (const entry of names) cpSync(join(PROJECT, entry), join(this.directory, entry), { recursive: true });
    symlinkSync(join(PROJECT, "node_modules"), join(this.directory, "node_modules"));
  }

  /** `file`: its path from the project's root. */
  read(file: string): string {
    return readFileSync(join(this.directory, file), "utf8");
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.directory, file), text);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
