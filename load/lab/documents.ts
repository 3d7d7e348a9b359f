import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { grouped } from "./plots.ts";
import { type Result, readResult, type VariantResult } from "./results.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const BLOCK = /<!-- results: ([a-z-]+) -->\n[\s\S]*?<!-- end of results -->/g;

/** The page with its tables as the results of this directory give them. Throws where a table names a result that is not there. */
export function withResults(page: string, directory: string): string {
  return page.replace(BLOCK, (_, name: string) => {
    const result = readResult(directory, name);
    if (result === undefined) throw new Error(`no results of ${name} in ${directory}: npm run bench -- ${name}`);
    return `<!-- results: ${name} -->\n${inMarkdown(result)}\n<!-- end of results -->`;
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

function inMarkdown({ name, question, at, commit, machine, settings, variants, targets }: Result): string {
  const sets = Map.groupBy(variants, ({ figures }) => figures.map((figure) => figure.name).join());
  const verdicts = targets.map(({ what, value, unit, met, atLeast, atMost }) => {
    const limit = atLeast === undefined ? `at most ${grouped(atMost ?? 0)}` : `at least ${grouped(atLeast)}`;
    return `* ${met ? "" : "**missed**: "}${what}: ${grouped(value)}${unit} (${limit}${unit})`;
  });
  const sizes = Object.entries(settings).map(([size, value]) => `${size} ${value}`);
  const when = `\`npm run bench -- ${name}\`, ${sizes.join(", ")}; ${at.slice(0, 10)}, ${machine.cores} cores, Node ${machine.node}, commit ${commit}`;
  return [`**${question}** ${when}.`, ...[...sets.values()].map(table), ...(verdicts.length === 0 ? [] : [verdicts.join("\n")])].join(
    "\n\n",
  );
}

function table(variants: readonly VariantResult[]): string {
  const head = (variants[0]?.figures ?? []).map(({ name, unit }) => (name === unit || unit === "" ? name : `${name}, ${unit}`));
  const rows = variants.map(({ name, figures }) => [
    name,
    ...figures.map(({ median, min, max }) => (min === max ? grouped(median) : `${grouped(median)} (${grouped(min)} to ${grouped(max)})`)),
  ]);
  return [["", ...head], ["---", ...head.map(() => "--:")], ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
