import { globSync, readFileSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

export interface Import {
  /** Path from the project's root, or the name of a package. */
  readonly target: string;
  /** Gone when the types are stripped; `import { type X }` is not, its file is still loaded. */
  readonly typeOnly: boolean;
  /** Loaded when that line runs, if ever. */
  readonly lazy: boolean;
}

export function importsOf(path: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\b(?!\s*(?:,|from\b)))?(?:[^"';]*?\bfrom\s*)?["']([^"']+)["']/gm);
  const calls = text.matchAll(/\b(?:import|require)\s*\(\s*["'`]([^"'`]+)["'`]/g);
  const found = [
    ...[...statements].map(([, type, specifier = ""]) => ({ specifier, typeOnly: type !== undefined, lazy: false })),
    ...[...calls].map(([, specifier = ""]) => ({ specifier, typeOnly: false, lazy: true })),
  ];
  return found.map(({ specifier, typeOnly, lazy }) => ({
    target: specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier,
    typeOnly,
    lazy,
  }));
}

/** Text by path from the project's root. */
export type Files = ReadonlyMap<string, string>;

export function filesOf(...patterns: readonly string[]): Files {
  const found = globSync([...patterns], { cwd: PROJECT, withFileTypes: true, exclude: ({ name }) => name === "dist" });
  return new Map(
    found
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => {
        const path = join(parentPath, name);
        return [relative(PROJECT, path).replaceAll("\\", "/"), readFileSync(path, "utf8")] as const;
      }),
  );
}

/** Everything that is loaded with these files, themselves included: files, and names of packages. */
export function loadedWith(files: Files, ...paths: readonly string[]): Set<string> {
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    const text = files.get(path);
    if (text === undefined) return;
    for (const { target, typeOnly, lazy } of importsOf(path, text)) if (!typeOnly && !lazy) load(target);
  };
  for (const path of paths) load(path);
  return loaded;
}
