import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const COPIED = ["package.json", "src", "workers", "load", "test/support"];

/** One text of a file that becomes another. Paths start at the project's root. */
export interface Edit {
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
}

/** What makes a copy of the project differ from the project. */
export interface Change {
  readonly edits?: readonly Edit[];
  /** Files of which everything is exported by another file instead. */
  readonly replaced?: Readonly<Record<string, string>>;
}

/** A copy of the project in a temporary folder, with some changes. */
export class ProjectCopy implements Disposable {
  readonly directory: string;

  /** Throws where a change does not fit the project. */
  constructor(change: Change) {
    this.directory = mkdtempSync(join(tmpdir(), "trick-"));
    process.once("exit", this.#remove);
    for (const name of COPIED) cpSync(join(PROJECT, name), join(this.directory, name), { recursive: true });
    symlinkSync(join(PROJECT, "node_modules"), join(this.directory, "node_modules"));
    for (const [file, text] of changedFiles(change)) {
      mkdirSync(dirname(join(this.directory, file)), { recursive: true });
      writeFileSync(join(this.directory, file), text);
    }
  }

  /** The service's `src/main.ts`. */
  get script(): string {
    return join(this.directory, "src/main.ts");
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#remove);
    this.#remove();
  }

  readonly #remove = (): void => rmSync(this.directory, { recursive: true, force: true });
}

/** The texts of the files that differ, by path. Throws where a change does not fit the project. */
export function changedFiles({ edits = [], replaced = {} }: Change): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { file, from, to } of edits) {
    const parts = (files.get(file) ?? readFileSync(join(PROJECT, file), "utf8")).split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, and not once: ${from}`);
    files.set(file, parts.join(to));
  }
  for (const [file, by] of Object.entries(replaced)) {
    readFileSync(join(PROJECT, file));
    files.set(file, `export * from "./${posix.relative(posix.dirname(file), by)}";\n`);
  }
  return files;
}
