import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";

/** A change to the text of a source file before it is loaded; `file` is a path from the project's root. */
export interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A fault that somebody could make in the protocol. */
export interface Mutant extends Change {
  readonly name: string;
  /** The scenario that finds it. */
  readonly foundBy: string;
}

/** Of the project, with a slash at its end. */
export const ROOT = new URL("../../", import.meta.url).href;

const QUERY = "?version=";

/**
 * On the thread that calls it: a file of the project that is imported by `urlOf` is loaded with the changes of that version, and so is
 * whatever it imports. `standIns`: the file that those of the library get for these modules.
 */
export function loadVersions(versions: readonly (readonly Change[])[], standIns: string, replaced: readonly string[]): void {
  // Most files are the same in all versions.
  const stripped = new Map<string, string>();
  registerHooks({
    resolve(specifier, context, next) {
      const [parent = "", version] = (context.parentURL ?? "").split(QUERY);
      if (version === undefined) return next(specifier, context);
      if (replaced.includes(specifier) && parent.startsWith(`${ROOT}src/threads/`)) {
        return { url: standIns + QUERY + version, shortCircuit: true };
      }
      const resolved = next(specifier, context);
      return resolved.url.startsWith(ROOT) ? { ...resolved, url: resolved.url + QUERY + version } : resolved;
    },
    load(url, context, next) {
      const [path = "", version] = url.split(QUERY);
      if (version === undefined) return next(url, context);
      const changes = (versions[Number(version)] ?? []).filter(({ file }) => path === ROOT + file);
      const text = changes.length === 0 ? stripped.get(path) : undefined;
      if (text !== undefined) return { format: "module", source: text, shortCircuit: true };
      const source = stripTypeScriptTypes(changed(readFileSync(new URL(path), "utf8"), changes));
      if (changes.length === 0) stripped.set(path, source);
      return { format: "module", source, shortCircuit: true };
    },
  });
}

export function urlOf(file: string, version: number): string {
  return new URL(file, import.meta.url).href + QUERY + version;
}

/** A thread that strips types itself says without this that it does so. */
export const EXEC_ARGV = ["--disable-warning=ExperimentalWarning"];

/** Throws where a file does not have the text that is to be changed exactly once, as after the file was rewritten. */
export function checkChange({ file, from }: Change): void {
  const found = readFileSync(new URL(ROOT + file), "utf8").split(from).length - 1;
  if (found !== 1) throw new Error(`${file} has this text ${found} times, not once; follow the source in mutants.ts:\n${from}`);
}

function changed(text: string, changes: readonly Change[]): string {
  return changes.reduce((before, { from, to }) => before.replace(from, () => to), text);
}
