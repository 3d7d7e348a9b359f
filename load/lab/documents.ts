import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readResult } from "./results.ts";
import { inMarkdown } from "./tables.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
// A block names an experiment and, behind bars, the figures to show; without any it shows them all.
const BLOCK = /<!-- results: ([a-z-]+)((?: \| [^|\n]+?)*) -->\n[\s\S]*?<!-- end of results -->/g;

/** The page with its tables as the results of this directory give them. Throws where a table names a result or a figure that is not there. */
export function withResults(page: string, directory: string): string {
  return page.replace(BLOCK, (_, name: string, figures: string) => {
    const result = readResult(directory, name);
    if (result === undefined) throw new Error(`no results of ${name} in ${directory}: npm run bench -- ${name}`);
    return `<!-- results: ${name}${figures} -->\n${inMarkdown(result, figures.split(" | ").slice(1))}\n<!-- end of results -->`;
  });
}

/** Writes the tables of all pages of `project` anew. Main thread of a command; throws as `withResults` does, before it writes anything. */
export function updateDocuments(directory: string, project = PROJECT): void {
  const pages = globSync(["*.md", "docs/*.md", "src/threads/*.md"], { cwd: project }).map((name) => join(project, name));
  const texts = pages.map((page) => [page, readFileSync(page, "utf8")] as const);
  const changed = texts.flatMap(([page, text]) => {
    const made = withResults(text, directory);
    return made === text ? [] : [[page, made] as const];
  });
  for (const [page, text] of changed) writeFileSync(page, text);
}
