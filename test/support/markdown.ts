/** A table of a Markdown text, cells as they stand. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Every table of a text, in order. */
export function tablesOf(text: string): Table[] {
  const blocks = text.match(/(?:^\|.*\|\n?)+/gm) ?? [];
  return blocks.map((block) => {
    const [header = [], _line, ...rows] = block.trimEnd().split("\n").map(cellsOf);
    return { header, rows };
  });
}

/** The part of a text under a heading, up to the next heading of that or a higher level. Throws where there is none. */
export function section(text: string, heading: RegExp): string {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith("#") && heading.test(line));
  if (start < 0) throw new Error(`no heading ${heading}`);
  const level = /^#+/.exec(lines[start] ?? "")?.[0].length ?? 0;
  const length = lines.slice(start + 1).findIndex((line) => (/^(#+) /.exec(line)?.[1]?.length ?? Number.POSITIVE_INFINITY) <= level);
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join("\n");
}

/** What stands between single backquotes. */
export function codesOf(text: string): string[] {
  return [...text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? "");
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf("|"))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}
