import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { codesOf, tablesOf } from "../support/markdown.ts";
import { CODE_BLOCKS, EVERYTHING, PAGES, PROJECT, prose, SCRIPTS } from "./pages.ts";

/** Languages of blocks of code; commands are `sh`, or `console` where they stand with what they print. */
const LANGUAGES = ["sh", "console", "json", "http", "mermaid", "ts", "diff", "yaml", "sql", "ini"];
/** Paths that are examples of what somebody may have. */
const EXAMPLES = /NAME|\/loyalty\.ts$|^data\//;

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  return [...prose(markdown).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Targets of links and images that are no URLs. */
function linksOf(markdown: string): string[] {
  return [...prose(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target).filter((target) => !/^[a-z]+:/.test(target));
}

/** Names of files and folders between backquotes. */
function pathsOf(markdown: string): string[] {
  const inProject = /^(?:(?:src|workers|test|load|deploy|docs)\/[\w./*-]*|[\w.-]+(?:\/[\w.-]+)*\.(?:ts|js|mjs|go|ya?ml|json|md|sh))$/;
  return codesOf(markdown).filter((code) => inProject.test(code) && !EXAMPLES.test(code));
}

describe.each([...PAGES])("%s", (page, text) => {
  test("links and images lead somewhere", () => {
    const dead = linksOf(text).filter((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? page : posix.join(posix.dirname(page), file);
      if (!existsSync(posix.join(PROJECT, target))) return true;
      return anchor !== undefined && !anchorsOf(PAGES.get(target) ?? "").includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  test("files and folders that it names exist", () => {
    expect(pathsOf(text).filter((path) => !existsSync(posix.join(PROJECT, path)))).toEqual([]);
  });

  test("every row of a table has as many cells as its head", () => {
    const uneven = tablesOf(text).flatMap(({ header, rows }) => rows.filter((row) => row.length !== header.length));
    expect(uneven).toEqual([]);
  });

  test("scripts that it names are in package.json", () => {
    const named = [...text.matchAll(/npm (?:run (?:-s )?)?([a-z]+(?:[:-][a-z]+)*)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => SCRIPTS[name] === undefined && !["ci", "will", "install", "pack"].includes(name))).toEqual([]);
  });
});

test("every page can be reached from the README in two clicks", () => {
  const reached = new Set(["README.md"]);
  for (let click = 0; click < 2; click++) {
    for (const page of [...reached]) {
      for (const link of linksOf(PAGES.get(page) ?? "")) {
        const target = posix.join(posix.dirname(page), link.split("#")[0] || posix.basename(page));
        if (PAGES.has(target)) reached.add(target);
      }
    }
  }
  expect([...PAGES.keys()].filter((page) => !reached.has(page))).toEqual([]);
});

test("every script of package.json is on some page", () => {
  const isNamed = (name: string) => new RegExp(`\`npm (run )?${name}[ \`]`).test(EVERYTHING);
  expect(Object.keys(SCRIPTS).filter((name) => !isNamed(name))).toEqual([]);
});

test("every block of code says what it is, so that commands among them are known", () => {
  expect(CODE_BLOCKS.length).toBeGreaterThan(10);
  expect(CODE_BLOCKS.filter(({ language }) => !LANGUAGES.includes(language)).map(({ page, text }) => `${page}: ${text}`)).toEqual([]);
});

test("CI runs what the README says", () => {
  const ci = readFileSync(posix.join(PROJECT, ".ci/run"), "utf8");
  expect(PAGES.get("README.md")).toContain("```sh\nnpm ci && npm test\n```");
  expect(ci).toMatch(/^npm ci /m);
  expect(ci).toMatch(/^npm test /m);
});

test("the checks can fail", () => {
  expect(anchorsOf("# What is stuck, and what to do\n## The `x` of it")).toEqual(["what-is-stuck-and-what-to-do", "the-x-of-it"]);
  expect(linksOf("[a](b.md#c) ![d](e.png) [f](https://example.com)")).toEqual(["b.md#c", "e.png"]);
  expect(pathsOf("`src/a.ts` `layout.ts` `test/` `POST /order` `data/orders.db` `workers/steps/NAME.ts`")).toEqual([
    "src/a.ts",
    "layout.ts",
    "test/",
  ]);
});
