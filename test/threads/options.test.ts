import { describe, expect, test } from "vitest";
import { openThreads, type ThreadsOptions } from "../../src/threads/index.ts";

const file = new URL("./tasks-of-nothing.ts", import.meta.url);

describe("openThreads refuses, naming option and rule,", () => {
  test.each<[string, object, string]>([
    ["no file", { file: undefined }, "file must be a URL or an absolute path, not undefined"],
    ["a relative path", { file: "./tasks.ts" }, "file must be a URL or an absolute path, not './tasks.ts'"],
    ["a number as text", { graceMs: "3" }, "graceMs must be a whole number from 0 to 2147483647, not '3'"],
    ["a heap with which V8 ends the process", { heapMb: 15 }, "heapMb must be a whole number from 16 to 9007199254740991, not 15"],
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
      exclusive: 0,
      settings: { words: new SharedArrayBuffer(4) },
      causes,
    });
    expect(threads.statistics().threads).toHaveLength(1);
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
