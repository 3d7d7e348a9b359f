import { describe, expect, test } from "vitest";
import { ARROWS, MAIN_DOOR, offences, RUN_BY_WORKERS, roomOf, SHARED_BY_LIBRARY, WORKER_DOOR } from "./arrows.ts";
import { filesOf, importsOf, loadedWith } from "./imports.ts";

const FILES = filesOf("src/**/*.ts", "workers/**/*.ts");
const importsOfAll = [...FILES].flatMap(([path, text]) => importsOf(path, text).map((imported) => ({ path, ...imported })));

describe("the arrows between the rooms", () => {
  test("are kept by every file of src and workers", () => {
    expect(offences(FILES)).toEqual([]);
  });

  test("are each followed by some file: there are no more than are needed", () => {
    const followed = new Set(importsOfAll.map(({ path, target }) => `${roomOf(path)} -> ${roomOf(target)}`));
    const drawn = Object.entries(ARROWS).flatMap(([room, targets]) => targets.map((target) => `${room} -> ${target}`));
    expect(drawn.filter((arrow) => !followed.has(arrow))).toEqual([]);
  });

  test("are read from the real files", () => {
    expect(importsOfAll.map(({ path, target }) => `${path} -> ${target}`)).toEqual(
      expect.arrayContaining([
        "src/main.ts -> src/service.ts",
        "src/composition/threads.ts -> src/threads/index.ts",
        "src/composition/threads.ts -> workers/settings.ts",
        "src/threads/pool-workers.ts -> piscina",
        "src/threads/worker/serve.ts -> src/threads/cancel-board.ts",
        "src/orders/pipeline.ts -> src/threads/index.ts",
        "workers/steps/tasks-of.ts -> src/threads/worker/index.ts",
      ]),
    );
    // Every import statement has been understood: no file has more of them than were found.
    for (const [path, text] of FILES) {
      expect([path, importsOf(path, text).length]).toEqual([
        path,
        text.match(/\bfrom "[^"]+";$|^import "[^"]+";$|\bimport\("/gm)?.length ?? 0,
      ]);
    }
  });
});

describe("the journal's rules", () => {
  const RULES = "src/journal/rules/";

  test("know no store: they import the domain and each other", () => {
    const targets = importsOfAll.filter(({ path }) => path.startsWith(RULES)).map(({ target }) => target);
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.filter((target) => !/^src\/(orders|retries|outgoing|journal\/(rules|protocol))/.test(target))).toEqual([]);
  });

  test("speak no SQL, and no other file of the journal decides by them: stores keep the tables that the rules ask for", () => {
    const sql = /\b(SELECT|INSERT|UPDATE|DELETE) /;
    expect([...FILES].filter(([path, text]) => path.startsWith(RULES) && sql.test(text)).map(([path]) => path)).toEqual([]);
    const users = importsOfAll.filter(({ path, target, typeOnly }) => target.startsWith(RULES) && !path.startsWith(RULES) && !typeOnly);
    const entered = users.map(({ target }) => target.slice(RULES.length));
    expect([...new Set(entered)].toSorted()).toEqual(["due.ts", "execute.ts", "find.ts", "reads.ts", "restores.ts", "tables.ts"]);
  });
});

describe("the library", () => {
  test("says no word of what its first user does with it", () => {
    const library = filesOf("src/threads/**/*");
    expect([...library.keys()]).toEqual(expect.arrayContaining([MAIN_DOOR, "src/threads/README.md", "src/threads/package.json"]));
    const words = /payment|courier|vendor|amount|order_?id|express|pino/i;
    // The license has "express or implied".
    const found = [...library].filter(([path, text]) => path !== "src/threads/LICENSE" && words.test(text));
    expect(found.map(([path]) => path)).toEqual([]);
  });

  test("depends on Piscina alone", () => {
    const { dependencies, ...rest } = JSON.parse(filesOf("src/threads/package.json").get("src/threads/package.json") ?? "");
    expect(Object.keys(dependencies)).toEqual(["piscina"]);
    expect(Object.keys(rest).filter((key) => key.endsWith("ependencies"))).toEqual([]);
  });

  test("is imported by two files, and through them only", () => {
    const doors = importsOfAll.filter(({ path, target }) => !path.startsWith("src/threads/") && target.startsWith("src/threads/"));
    expect(new Set(doors.map(({ target }) => target))).toEqual(new Set([MAIN_DOOR, WORKER_DOOR]));
  });
});

describe("what runs on other threads than the main one", () => {
  const LIBRARY_FILE = "src/threads/worker/main.ts";
  const ofSteps = loadedWith(FILES, LIBRARY_FILE, "workers/main.ts");
  const ofJournal = loadedWith(FILES, "workers/journal/main.ts", "workers/journal/backup.ts");
  const inSrc = [...ofSteps, ...ofJournal].filter((path) => path.startsWith("src/"));
  const isKnown = (path: string) => RUN_BY_WORKERS.test(path) || SHARED_BY_LIBRARY.test(path) || path.startsWith("src/threads/worker/");

  test("is what is said to, and no package", () => {
    expect(inSrc.filter((path) => !isKnown(path))).toEqual([]);
    const packages = [...ofSteps, ...ofJournal].filter((name) => !/^(src\/|workers\/|node:)/.test(name));
    expect(packages).toEqual([]);
  });

  test("has nothing of the library where it only keeps the journal", () => {
    expect(ofJournal).toContain("workers/journal/writer.ts");
    expect([...ofJournal].filter((path) => path.startsWith("src/threads/"))).toEqual([]);
  });

  test("all of what the parts of the library are said to share is needed on both sides", () => {
    const shared = [...FILES.keys()].filter((path) => SHARED_BY_LIBRARY.test(path));
    expect(shared.length).toBeGreaterThan(5);
    const ofMain = loadedWith(FILES, MAIN_DOOR);
    expect(shared.filter((path) => !ofMain.has(path) || !ofSteps.has(path))).toEqual([]);
  });

  test("has no default export: a thread that is terminated while it loads one aborts the process", () => {
    // Seen with Node 26.10: `require` of such a module ends in an assertion (`CreateRequiredModuleFacade`) when it is cut short.
    const files = [...FILES].filter(([path]) => path.startsWith("workers/") || path.startsWith("src/threads/worker/"));
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter(([, text]) => /\bexport default\b|\bas default\b/.test(text)).map(([path]) => path)).toEqual([]);
  });
});
