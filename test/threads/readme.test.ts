import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checked } from "../../src/threads/threads-options.ts";
import { codesOf, section, tablesOf } from "../support/markdown.ts";

const README = readFileSync(new URL("../../src/threads/README.md", import.meta.url), "utf8");
const SOURCE = readFileSync(new URL("../../src/threads/threads-options.ts", import.meta.url), "utf8");

const rows = tablesOf(section(README, /^## Options$/)).flatMap((table) => table.rows);

test("the README has a row for each option of openThreads, and no other", () => {
  const [, declared = ""] = /^export interface ThreadsOptions.*\{\n([\s\S]*?)^\}$/m.exec(SOURCE) ?? [];
  const names = [...declared.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(15);
  expect(rows.map(([name = ""]) => codesOf(name)[0]).sort()).toEqual(names.sort());
});

test("the README's defaults are those of the code", () => {
  const defaults: Readonly<Record<string, unknown>> = { ...checked({ file: "/tasks.ts" }) };
  const shown = rows.flatMap(([name = "", text = ""]) =>
    /^[\d ]+$|^true$/.test(text) ? [[name.replaceAll("`", ""), text.replaceAll(" ", "")]] : [],
  );
  expect(shown.length).toBeGreaterThan(8);
  expect(shown).toEqual(shown.map(([name = ""]) => [name, String(defaults[name])]));
});

// The library is for anyone.
test("no word of what this project uses it for is in the README or the examples", () => {
  expect(README).not.toMatch(/payment|courier|vendor|\border[_ ]?id|express|pino/i);
});
