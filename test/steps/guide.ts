import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CopiedProject } from "../support/copied-project.ts";
import { section } from "../support/markdown.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const TSC = join(PROJECT, "node_modules/typescript/bin/tsc");

/** What a guide of CONTRIBUTING.md has its reader write. */
export interface Guide {
  /** Name and text of the step's file, from the project's root. */
  readonly file: string;
  readonly definition: string;
  /** Lines to be replaced, by file. */
  readonly changes: ReadonlyMap<string, ReadonlyArray<readonly [from: string, to: string]>>;
  /** Rows of the documentation's tables, by file: each goes behind the row that starts like the first of the two. */
  readonly rows: ReadonlyMap<string, ReadonlyArray<readonly [after: string, row: string]>>;
}

/** Reads the guide under that heading. Throws where it is not of the form that people can follow. */
export function readGuide(heading = /^#+ Add a step$/): Guide {
  const text = section(readFileSync(join(PROJECT, "CONTRIBUTING.md"), "utf8"), heading);
  const blocks = [...text.matchAll(/`([\w./-]+)`[^`]*\n+( *)```(ts|diff)\n([\s\S]*?)^ *```$/gm)].map(
    ([, file = "", indent = "", language, block = ""]) => ({
      file,
      language,
      lines: outdented(block, indent),
    }),
  );
  const definitions = blocks.filter(({ language }) => language === "ts");
  const [definition] = definitions;
  if (definition === undefined || definitions.length > 1) throw new Error("the guide must have one block of ts");
  const changes = new Map<string, Array<readonly [string, string]>>();
  const rows = new Map<string, Array<readonly [string, string]>>();
  for (const { file, lines } of blocks.filter(({ language }) => language === "diff")) {
    const into = file.endsWith(".md") ? rows : changes;
    // Every run of removed or unchanged lines is followed by the lines that come in its place.
    for (const [, from = "", to = ""] of lines.matchAll(/((?:^[- ].*\n)+)((?:^[+].*\n)+)/gm)) {
      const isKept = from.startsWith(" ");
      into.set(file, [...(into.get(file) ?? []), [bare(from), isKept ? bare(from) + bare(to) : bare(to)]]);
    }
  }
  return { file: definition.file, definition: definition.lines, changes, rows };
}

/** A copy of the project in which the step is added. */
export class CopyWithStep extends CopiedProject {
  readonly #guide: Guide;

  constructor(guide: Guide) {
    super("add-a-step");
    this.#guide = guide;
    this.follow(guide);
  }

  /** Does what a guide says. */
  follow({ file, definition, changes, rows }: Guide): void {
    this.write(file, definition);
    for (const [changed, lines] of [...changes, ...rows]) this.#change(changed, lines);
  }

  /** The compiler's complaints about the whole project. */
  complaints(): string[] {
    return this.#compile("tsconfig.json");
  }

  /**
   * Its complaints about each of these definitions of the step, in their order. All are compiled at once, each as a file beside the step's: that
   * takes a tenth of the whole project's time.
   */
  complaintsAbout(definitions: readonly string[]): string[] {
    const files = definitions.map((definition, n) => {
      const file = this.#guide.file.replace(".ts", `-${n}.ts`);
      this.write(file, definition);
      return file;
    });
    this.write("tsconfig.step.json", JSON.stringify({ extends: "./tsconfig.json", include: ["src/orders/steps.ts", ...files] }));
    const complaints = this.#compile("tsconfig.step.json");
    for (const file of [...files, "tsconfig.step.json"]) rmSync(join(this.directory, file));
    return files.map((file) => complaints.filter((line) => line.startsWith(`${file}(`)).join("\n"));
  }

  #compile(config: string): string[] {
    const args = [TSC, "-p", config, "--noEmit", "--pretty", "false"];
    const { stdout } = spawnSync(process.execPath, args, { cwd: this.directory, encoding: "utf8" });
    return stdout.split("\n").filter((line) => /^\S+\(\d+,\d+\): error/.test(line));
  }

  #change(file: string, changes: ReadonlyArray<readonly [string, string]>): void {
    let text = this.read(file);
    for (const [from, to] of changes) {
      if (text.split(from).length !== 2) throw new Error(`the guide changes a line that ${file} does not have once:\n${from}`);
      text = text.replace(from, () => to);
    }
    this.write(file, text);
  }
}

function outdented(block: string, indent: string): string {
  return block
    .split("\n")
    .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join("\n");
}

/** Without the mark in the first column of each line. */
function bare(lines: string): string {
  return lines.replaceAll(/^[-+ ]/gm, "");
}
