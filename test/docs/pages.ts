import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** Every page of the documentation: its text by its path from the project's root. Drafts are left out. */
export const PAGES: ReadonlyMap<string, string> = new Map(
  globSync("**/*.md", { cwd: PROJECT, exclude: (path) => /(^|\/)(node_modules|drafts|data|\.git)$/.test(String(path)) })
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => [path, readFileSync(join(PROJECT, path), "utf8")]),
);

/** The text of all pages. */
export const EVERYTHING = [...PAGES.values()].join("\n\n");

export interface Scripts {
  readonly scripts: Readonly<Record<string, string>>;
}

/** The scripts of package.json. */
export const { scripts: SCRIPTS } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as Scripts;

/** A block of code with the language that it is marked with. */
export interface CodeBlock {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

export const CODE_BLOCKS: readonly CodeBlock[] = [...PAGES].flatMap(([page, markdown]) =>
  [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({ page, language, text })),
);

/** A page without its blocks of code. */
export function prose(markdown: string): string {
  return markdown.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "");
}
