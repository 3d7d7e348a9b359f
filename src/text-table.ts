// A last column that is narrower is taller than a screen.
const NARROWEST_LAST = 30;

/** Rows of text with their cells below each other. The last cell goes on in further lines beyond `columns` characters. */
export function textTable(rows: readonly (readonly string[])[], columns = Number.POSITIVE_INFINITY): string {
  const [head = []] = rows;
  const widths = head.slice(0, -1).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const indent = widths.reduce((sum, width) => sum + width + 2, 2);
  return rows
    .flatMap((row) => {
      const cells = widths.map((width, at) => row[at]?.padEnd(width));
      const [first, ...more] = broken(row.at(-1) ?? "", Math.max(columns - indent, NARROWEST_LAST));
      return [`  ${[...cells, first].join("  ")}`, ...more.map((text) => " ".repeat(indent) + text)];
    })
    .join("\n");
}

/** A text as lines of at most so many characters, broken between words. */
function broken(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
