import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface LockedPackage {
  readonly optional?: boolean;
  readonly engines?: { readonly node?: string };
  readonly bin?: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

// The oldest that `npm ci` is promised to be quiet on. Nothing but npm itself runs on it.
const OLDEST_NODE = 20;

// Scripts run on the Node that the project brings, so a warning about the one that runs npm would be about nothing. npm reads
// `engines` in the lock file: a package that asks for a newer Node has them taken out there, and an update of the package puts
// them back. Optional packages are no part of this: npm leaves out without a word those that do not fit.
test("no package in the lock file makes npm ci warn of the Node that runs npm", () => {
  const { packages } = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")) as LockFile;
  const tooNew = Object.entries(packages).filter(([, { optional, engines }]) => {
    const majors = (engines?.node ?? "0").split("||").map((range) => Number(/\d+/.exec(range)?.[0] ?? 0));
    return optional !== true && Math.min(...majors) > OLDEST_NODE;
  });
  expect(tooNew).toEqual([]);
});

// TypeScript 5 is there under a name of its own for its API, which the generator of clients needs. Its programs are taken out in the
// lock file like the `engines` above, so that `tsc` is the one that checks this project whatever order npm links programs in.
test("only TypeScript itself brings a tsc", () => {
  const { packages } = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")) as LockFile;
  const bringing = Object.entries(packages).filter(([, { bin }]) => bin !== undefined && ("tsc" in bin || "tsserver" in bin));
  expect(bringing.map(([path]) => path)).toEqual(["node_modules/typescript"]);
});
