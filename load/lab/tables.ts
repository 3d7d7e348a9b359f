import { table } from "../table.ts";
import { grouped } from "./plots.ts";
import type { Figure, Result } from "./results.ts";

// A table with more columns is wider than a terminal.
const MOST_COLUMNS = 6;

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A table for each set of variants that have the same figures. Many figures are rows, few are columns. */
function tablesOf({ variants }: Result): Table[] {
  const title = ({ name, unit }: Figure): string => (name === unit || unit === "" ? name : `${name}, ${unit}`);
  const sets = Map.groupBy(variants, ({ figures }) => figures.map(title).join("\n"));
  return [...sets.values()].map((alike) => {
    const titles = alike[0]?.figures.map(title) ?? [];
    if (titles.length <= MOST_COLUMNS)
      return { head: ["", ...titles], rows: alike.map(({ name, figures }) => [name, ...figures.map(cell)]) };
    const rows = titles.map((title, n) => [title, ...alike.map(({ figures }) => cell(figures[n] as Figure))]);
    return { head: ["", ...alike.map(({ name }) => name)], rows };
  });
}

function cell({ median, min, max }: Figure): string {
  return min === max ? grouped(median) : `${grouped(median)} (${grouped(min)} to ${grouped(max)})`;
}

function sizesOf({ settings }: Result): string {
  return Object.entries(settings)
    .map(([size, value]) => `${size} ${value}`)
    .join(", ");
}

/** The figures of a result for a terminal. */
export function inText(result: Result): string {
  const tables = tablesOf(result).map(({ head, rows }) => table(head, rows));
  return `${result.question}\n${sizesOf(result)}; medians, the least and the most of a round\n\n${tables.join("\n")}`;
}

/** Those of its figures that have one of these names. Throws where none has. */
function withFigures(result: Result, names: readonly string[]): Result {
  const missing = names.filter((name) => !result.variants.some(({ figures }) => figures.some((figure) => figure.name === name)));
  if (missing.length > 0) throw new Error(`no figure "${missing[0]}" in the results of ${result.name}`);
  const variants = result.variants.map((variant) => ({ ...variant, figures: variant.figures.filter(({ name }) => names.includes(name)) }));
  return { ...result, variants: variants.filter(({ figures }) => figures.length > 0) };
}

/** The figures of a result and whether its targets are met, for a page; where figures are named, these alone. */
export function inMarkdown(result: Result, figures: readonly string[] = []): string {
  const { name, question, at, commit, machine, targets } = result;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const shown = figures.length === 0 ? result : withFigures(result, figures);
  const tables = tablesOf(shown).map(({ head, rows }) => [head, ["---", ...head.slice(1).map(() => "--:")], ...rows].map(line).join("\n"));
  const verdicts = targets.map(({ what, value, unit, met, atLeast, atMost }) => {
    const limit = atLeast === undefined ? `at most ${grouped(atMost ?? 0)}` : `at least ${grouped(atLeast)}`;
    return `* ${met ? "" : "**missed**: "}${what}: ${grouped(value)}${unit} (${limit}${unit})`;
  });
  const when = `\`npm run bench -- ${name}\`, ${sizesOf(result)}; ${at.slice(0, 10)}, ${machine.cores} cores, Node ${machine.node}, commit ${commit}`;
  if (figures.length > 0) return [`${when}:`, ...tables].join("\n\n");
  return [`**${question}** ${when}.`, ...tables, ...(verdicts.length === 0 ? [] : [verdicts.join("\n")])].join("\n\n");
}
