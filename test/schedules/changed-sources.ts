import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

/** A change to the text of a source file before it is loaded; `file` is a path from the project's root. */
export interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Of the project, with a slash at its end. */
export const ROOT = new URL("../../", import.meta.url).href;

/** On the thread that calls it, the files are loaded as if they had been changed. */
export function loadChanged(changes: readonly Change[]): void {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      const mine = changes.filter(({ file }) => url === ROOT + file);
      if (mine.length === 0 || loaded.source === undefined) return loaded;
      return { ...loaded, source: mine.reduce((text, { from, to }) => text.replace(from, () => to), loaded.source?.toString() ?? "") };
    },
  });
}

/** Throws where a file does not have the text that is to be changed exactly once, as after the file was rewritten. */
export function checkChange({ file, from }: Change): void {
  const found = readFileSync(new URL(ROOT + file), "utf8").split(from).length - 1;
  if (found !== 1) throw new Error(`${file} has this text ${found} times, not once; follow the source in mutants.ts:\n${from}`);
}
