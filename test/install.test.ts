import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly optional?: boolean; readonly engines?: { readonly node?: string } }>>;
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
