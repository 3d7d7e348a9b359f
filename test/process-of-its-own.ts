import { filesOf, loadedWith } from "./architecture/imports.ts";

// Listeners, counts and the end of a process, its environment, its globals, its garbage collector and its threads, and modules that are
// replaced. Children, and what is told to them, are processes of their own.
const PROCESS =
  /(?<![.#\w])process\.(on|once|off|emit|exit|chdir|\w*[lL]istener\w*|\w*[uU]sage|getActiveResourcesInfo)\b|\bprocess\.env\.\w+ =[^=]|"node:(v8|vm|worker_threads|inspector)|\bglobalThis\b|\bvi\.(mock|hoisted)\(/;
// A module that is loaded already registers nothing with the next file.
const HOOKS = /^(before|after)(All|Each)\(/m;

/**
 * The files of tests, by path from the project's root, each of which needs a process of its own: it deals with the process as a whole or
 * replaces modules, or a file does that it loads of `test` and `load`; or such a file has hooks for whatever loads it.
 */
export function withProcessOfItsOwn(files = filesOf("test/**/*.ts", "load/**/*.ts")): string[] {
  const isShared = (path: string) => {
    const text = files.get(path) ?? "";
    return !PROCESS.test(text) && (path.endsWith(".test.ts") || !HOOKS.test(text));
  };
  return [...files.keys()].filter((path) => path.endsWith(".test.ts") && ![...loadedWith(files, path)].every(isShared));
}
