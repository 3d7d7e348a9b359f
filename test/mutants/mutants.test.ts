import { expect, test } from "vitest";
import { filesOf } from "../architecture/imports.ts";
import { seedOf } from "../support/seed.ts";
import { drawnFrom, faultsIn } from "./faults.ts";
import { ProjectWithFault } from "./project-with-fault.ts";
import { testsOf } from "./tests-of.ts";

const SOURCES = filesOf("src/**/*.ts", "workers/**/*.ts");
const ALL = filesOf("src/**/*.{ts,js}", "workers/**/*.ts", "test/**/*.ts", "load/**/*.ts");

function texts(source: string): string[] {
  return faultsIn("a.ts", source).map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));
}

test("each kind of small fault is put in at its place", () => {
  expect(texts("if (a < b) c();")).toEqual(["if (!(a < b)) c();", "if (a <= b) c();", "if (a < b) ;"]);
  expect(texts("const x = a ?? 1;")).toEqual(["const x = (1);", "const x = a ?? (1 + 1);"]);
  expect(texts("x = a && !b;")).toEqual([";", "x = a || !b;"]);
  expect(texts("const x = 60_000;")).toEqual(["const x = (60_000 * 10);"]);
  expect(texts("i++;")).toEqual([";", "i--;"]);
  expect(texts("const y = (--n as number) - m;")).toEqual(["const y = (++n as number) - m;", "const y = (--n as number) + m;"]);
  expect(texts("await stop(true);")).toEqual([";", "await stop(false);"]);
});

test("types, imports and texts get none", () => {
  expect(texts('import { a } from "b"; type T = 1 | true; interface I { readonly n: 2 } const s: 3 | "a < b" = `+`;')).toEqual([]);
});

test("a line is drawn once, and the same ones by the same seed", () => {
  const seed = seedOf("MUTANTS_SEED");
  console.log(`MUTANTS_SEED=${seed}`);
  const drawn = (of: number) =>
    drawnFrom(SOURCES, of)
      .take(400)
      .map(({ file, line }) => `${file}:${line}`)
      .toArray();
  const lines = drawn(seed);
  expect(new Set(lines).size).toBe(400);
  expect(drawn(seed)).toEqual(lines);
  expect(drawn(seed + 1)).not.toEqual(lines);
});

test("the tests that can see a fault are those that load its file, the nearest first, over threads and child processes too", () => {
  expect(testsOf("src/resilience/backoff.ts", ALL)[0]).toBe("test/resilience/backoff.test.ts");
  expect(testsOf("src/resilience/backoff.ts", ALL)).toContain("test/process.test.ts");
  expect(testsOf("src/http/listener.ts", ALL)[1]).toMatch(/^test\/http\//);
  expect(testsOf("workers/main.ts", ALL)).toContain("test/process.test.ts");
  expect(testsOf("test/support/seed.ts", ALL)).toContain("test/mutants/mutants.test.ts");
  expect(testsOf("src/resilience/backoff.ts", ALL)).not.toContain("test/resilience/post.test.ts");
});

test("a fault fails a test, and the same tests pass without it", async () => {
  const file = "src/resilience/backoff.ts";
  const healthy = SOURCES.get(file) as string;
  using project = new ProjectWithFault();
  const fault = faultsIn(file, healthy).find(({ what }) => what === "* becomes /");
  if (fault === undefined) throw new Error(`${file} has no place for a fault`);
  project.put({ ...fault, file });
  expect(project.read(file)).not.toBe(healthy);
  expect(await project.firstFailure(["test/resilience/backoff.test.ts"])).toMatchObject({ file: "test/resilience/backoff.test.ts" });
  project.heal();
  expect(project.read(file)).toBe(healthy);
  expect(await project.firstFailure(["test/resilience/backoff.test.ts"])).toBeUndefined();
});
