import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openThreads, type ThreadsOptions } from "../../src/threads/index.ts";
import { checked } from "../../src/threads/threads-options.ts";
import { codesOf, section, tablesOf } from "../support/markdown.ts";

const file = new URL("./tasks-of-nothing.ts", import.meta.url);

describe("openThreads refuses, naming option and rule,", () => {
  test.each<[string, object, string]>([
    ["no file", { file: undefined }, "file must be a URL or an absolute path, not undefined"],
    ["a relative path", { file: "./tasks.ts" }, "file must be a URL or an absolute path, not './tasks.ts'"],
    ["a number as text", { graceMs: "3" }, "graceMs must be a whole number from 0 to 2147483647, not '3'"],
    ["a heap with which V8 ends the process", { heapMb: 15 }, "heapMb must be a whole number from 16 to 9007199254740991, not 15"],
    ["room for no task", { maxWaiting: 0 }, "maxWaiting must be a whole number from 1 to 9007199254740991, not 0"],
    ["settings that cannot be cloned", { settings: { log: () => 1 } }, "settings cannot be cloned: () => 1 could not be cloned."],
    ["one cause that is no list", { causes: "moved" }, "causes must be a list, not 'moved'"],
    ["a built-in cause", { causes: ["deadline"] }, 'causes must not name the built-in cause "deadline"'],
    ["too many causes", { causes: Array.from({ length: 12 }, (_, n) => `cause ${n}`) }, "causes must be 11 at most, not 12"],
  ])("%s", async (_what, bad, message) => {
    await expect(openThreads({ file, ...bad } as ThreadsOptions)).rejects.toThrow(new RangeError(message));
  });

  test("and takes what is just within the rules", async () => {
    const causes = Array.from({ length: 11 }, (_, n) => `cause ${n}`);
    await using threads = await openThreads<never, string>({
      file,
      heapMb: 16,
      graceMs: 0,
      maxWaiting: 1,
      exclusive: 0,
      settings: { words: new SharedArrayBuffer(4) },
      causes,
    });
    expect(threads.statistics().threads).toHaveLength(1);
    await using group = threads.group();
    expect((await group.run("nothing" as never, undefined as never).outcome).status).toBe("ok");
  });
});

describe("run refuses, naming option and rule, and counts nothing,", () => {
  test.each<[string, unknown, string]>([
    ["a kind of thread that there is not", { on: "exclusiv" }, `on must be "shared" or "exclusive", not 'exclusiv'`],
    ["options that are none", "exclusive", "the options of a task must be an object, not 'exclusive'"],
  ])("%s", async (_what, options, message) => {
    await using threads = await openThreads({ file, exclusive: 1 });
    await using group = threads.group();
    expect(() => group.run("nothing", 1, options as never)).toThrow(new RangeError(message));
    expect(threads.counters().unsettled).toBe(0);
    expect(await group.run("nothing", 1, { on: "exclusive" })).toBe(1);
  });
});

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
