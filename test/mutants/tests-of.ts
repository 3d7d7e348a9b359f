import { posix } from "node:path";
import { type Files, importsOf } from "../architecture/imports.ts";

// A thread, a child process and the page of a browser are started by a path, not by an import.
const PATHS = /["'`]([\w./-]+\.(?:ts|js|mjs))["'`]/g;

/**
 * The files of tests that can see a fault in `file`: first those that import it, then those in folders of the same names, then the
 * others; of these each time those first that load it over the fewest other files.
 */
export function testsOf(file: string, files: Files): string[] {
  const users = usersOf(files);
  const distance = new Map([[file, 0]]);
  // A Map is walked in the order of its entries, those that are added meanwhile included: breadth first.
  for (const [path, steps] of distance) {
    for (const user of users.get(path) ?? []) if (!distance.has(user)) distance.set(user, steps + 1);
  }
  const rank = (path: string): number => (distance.get(path) === 1 ? Number.POSITIVE_INFINITY : commonFolders(path, file));
  const tests = [...distance.keys()].filter((path) => path.endsWith(".test.ts")).map((path) => ({ path, rank: rank(path) }));
  return tests.sort((a, b) => (a.rank === b.rank ? 0 : b.rank - a.rank)).map(({ path }) => path);
}

/** By import alone the nearest to a file that only the whole service loads would be any test that starts it. */
function commonFolders(test: string, file: string): number {
  const folders = new Set(posix.dirname(file).split("/"));
  return posix
    .dirname(test)
    .split("/")
    .filter((name) => folders.has(name)).length;
}

function usersOf(files: Files): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, Set<string>>();
  for (const [path, text] of files) {
    const imported = importsOf(path, text).filter(({ typeOnly }) => !typeOnly);
    const named = [...text.matchAll(PATHS)].flatMap(([, name = ""]) => [posix.join(posix.dirname(path), name), posix.normalize(name)]);
    for (const target of [...imported.map(({ target }) => target), ...named]) {
      if (!files.has(target) || target === path) continue;
      const by = users.get(target) ?? new Set();
      users.set(target, by.add(path));
    }
  }
  return users;
}
