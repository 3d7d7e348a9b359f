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

describe("an import against an arrow is found", () => {
  test.each([
    ["src/orders/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/orders/x.ts", 'import { a } from "../threads/layout.ts";'],
    ["src/orders/x.ts", 'import type { A } from "../threads/layout.ts";'],
    ["src/orders/x.ts", 'import { a } from "../threads/worker/index.ts";'],
    ["src/service.ts", 'import { a } from "./threads/layout.ts";'],
    ["src/composition/x.ts", 'import { a } from "../threads/threads.ts";'],
    ["src/orders/x.ts", 'import type { Request } from "express";'],
    ["src/orders/deep/x.ts", 'import { a } from "../../admin/admin-app.ts";'],
    ["src/threads/x.ts", 'import { a } from "../orders/order.ts";'],
    ["src/threads/x.ts", 'import type { A } from "../orders/order.ts";'],
    ["src/threads/x.ts", 'import { Piscina } from "piscina";'],
    ["src/threads/x.ts", 'import { z } from "zod";'],
    ["src/threads/x.ts", 'import { a } from "./worker/serve.ts";'],
    ["src/threads/x.ts", 'import { a } from "./examples/search/tasks.ts";'],
    ["src/threads/clock.ts", 'import { a } from "./threads.ts";'],
    ["src/threads/worker/x.ts", 'import { a } from "../dispatcher.ts";'],
    ["src/threads/examples/search/main.ts", 'import { a } from "../../cancel-scope.ts";'],
    ["src/threads/examples/search/main.ts", 'import { a } from "../tiles/tasks.ts";'],
    ["src/threads/x.ts", 'import { a } from "../../workers/main.ts";'],
    ["src/http/x.ts", 'import type { A } from "../threads/threads.ts";'],
    ["src/admin/x.ts", 'import { a } from "../journal/journal.ts";'],
    ["src/orders/x.ts", 'import type { HrTime } from "@opentelemetry/api";'],
    ["workers/steps/x.ts", 'import { SpanKind } from "@opentelemetry/api";'],
    ["src/config.ts", 'import { a } from "./http/status.ts";'],
    ["src/http/x.ts", 'import { start } from "../service.ts";'],
    ["src/service.ts", 'import { a } from "./main.ts";'],
    ["src/main.ts", 'import { Piscina } from "piscina";'],
    ["src/main.ts", 'import type { A } from "../workers/settings.ts";'],
    ["src/journal/x.ts", 'import type { A } from "../../workers/journal/writer.ts";'],
    ["workers/journal/x.ts", 'import { a } from "../../src/journal/protocol.ts";'],
    ["src/journal/x.ts", 'import type { A } from "../../workers/settings.ts";'],
    ["src/journal/x.ts", 'import { Piscina } from "piscina";'],
    ["src/resilience/x.ts", 'import type { A } from "../orders/order-event.ts";'],
    ["src/resilience/x.ts", 'import pino from "pino";'],
    ["src/unheard-of/x.ts", 'import { a } from "../orders/order.ts";'],
    ["src/orders/x.ts", 'import { a } from "../../test/support/service.ts";'],
    ["workers/steps/x.ts", 'import { a } from "../../src/http/status.ts";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/http/status.ts";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/journal/journal.ts";'],
    ["workers/steps/x.ts", 'import { type StepName } from "../../src/orders/step.ts";'],
    ["workers/steps/x.ts", 'import { a } from "../../src/threads/index.ts";'],
    ["workers/main.ts", 'import type { Service } from "../src/service.ts";'],
    ["workers/main.ts", 'import { Piscina } from "piscina";'],
    ["src/orders/x.ts", 'import {\n  type A,\n  b,\n} from "../http/status.ts";'],
    ["src/orders/x.ts", 'export { a } from "../http/status.ts";'],
    ["src/orders/x.ts", 'export * from "../http/status.ts";'],
    ["src/orders/x.ts", 'export type { A } from "../http/status.ts";'],
    ["src/orders/x.ts", 'import "../http/status.ts";'],
    ["src/orders/x.ts", 'const a = await import("../http/status.ts");'],
    ["src/orders/x.ts", "import a from '../http/status.ts';"],
    ["src/orders/x.ts", 'import type from "../http/status.ts";'],
    ["src/orders/x.ts", 'import * as a from "../http/status.ts"'],
  ])("%s: %s", (path, text) => {
    const harmless = 'import { join } from "node:path";\n\nexport const from = "../http/status.ts";\n';
    expect(offences(new Map([[path, `${harmless}${text}\n${harmless}`]]))).toHaveLength(1);
  });

  test.each([
    [
      "src/service.ts",
      'import { Piscina } from "piscina";\nimport { a } from "./threads/index.ts";\nimport type { B } from "../workers/settings.ts";',
    ],
    [
      "src/main.ts",
      'import { pino } from "pino";\nimport { start } from "./service.ts";\nimport { ListenError } from "./http/listener.ts";',
    ],
    ["src/telemetry/x.ts", 'import type { HrTime } from "@opentelemetry/api";\nimport type { A } from "../orders/ended-order.ts";'],
    ["src/resilience/x.ts", 'import { Agent } from "node:http";\nimport { a } from "./retry-after.ts";'],
    ["src/orders/x.ts", 'import { a } from "../threads/index.ts";\nimport { b } from "./order.ts";\nimport { c } from "node:path";'],
    ["src/threads/pool-workers.ts", 'import { Piscina } from "piscina";\nimport type { A } from "./worker/serve.ts";'],
    [
      "src/threads/worker/x.ts",
      'import { a } from "../clock.ts";\nimport type { B } from "../threads.ts";\nimport { c } from "./serve.ts";',
    ],
    ["src/threads/examples/search/main.ts", 'import { a } from "../../index.ts";\nimport type { tasks } from "./tasks.ts";'],
    ["src/http/x.ts", 'import express from "express";\nimport { a } from "../orders/order-service.ts";'],
    ["src/journal/sqlite-thread.ts", 'import type { A } from "./protocol.ts";\nimport { Piscina } from "piscina";'],
    ["src/admin/x.ts", 'import { a } from "../http/answers.ts";\nimport { Router } from "express";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/orders/step.ts";\nimport { b } from "../../src/threads/worker/index.ts";'],
    ["workers/steps/x.ts", 'import { a } from "../../src/orders/step-task.ts";\nimport { c } from "../steps/payment.ts";'],
    ["workers/journal/x.ts", 'import type { A } from "../../src/journal/protocol.ts";\nimport { b } from "../../src/orders/answer.ts";'],
    ["src/orders/x.ts", '/**\n * import { a } from "../http/status.ts";\n */\n// import { a } from "../http/status.ts";'],
  ])("and nothing else is: %s: %s", (path, text) => {
    expect(offences(new Map([[path, text]]))).toEqual([]);
  });
});

describe("the journal's rules", () => {
  const RULES = "src/journal/rules/";

  test("know no store: they import the domain and each other", () => {
    const targets = importsOfAll.filter(({ path }) => path.startsWith(RULES)).map(({ target }) => target);
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.filter((target) => !/^src\/(orders|resilience|journal\/(rules|protocol))/.test(target))).toEqual([]);
  });

  test("speak no SQL, and no other file of the journal decides by them: stores keep the tables that the rules ask for", () => {
    const sql = /\b(SELECT|INSERT|UPDATE|DELETE) /;
    expect([...FILES].filter(([path, text]) => path.startsWith(RULES) && sql.test(text)).map(([path]) => path)).toEqual([]);
    const users = importsOfAll.filter(({ path, target, typeOnly }) => target.startsWith(RULES) && !path.startsWith(RULES) && !typeOnly);
    const entered = users.map(({ target }) => target.slice(RULES.length));
    expect([...new Set(entered)].toSorted()).toEqual([
      "due.ts",
      "event-payload.ts",
      "execute.ts",
      "find.ts",
      "order-pages.ts",
      "reads.ts",
      "restores.ts",
      "tables.ts",
    ]);
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

/** A package as npm's lock file has it. */
interface LockedPackage {
  readonly optional?: boolean;
  readonly engines?: { readonly node?: string };
  readonly bin?: Readonly<Record<string, string>>;
}

describe("the lock file", () => {
  const { packages } = JSON.parse(filesOf("package-lock.json").get("package-lock.json") ?? "") as {
    packages: Readonly<Record<string, LockedPackage>>;
  };
  // The oldest that `npm ci` is promised to be quiet on. Nothing but npm itself runs on it.
  const OLDEST_NODE = 20;

  // Scripts run on the Node that the project brings, so a warning about the one that runs npm would be about nothing. npm reads
  // `engines` in the lock file: a package that asks for a newer Node has them taken out there, and an update of the package puts
  // them back. Optional packages are no part of this: npm leaves out without a word those that do not fit.
  test("has no package that makes npm ci warn of the Node that runs npm", () => {
    const tooNew = Object.entries(packages).filter(([, { optional, engines }]) => {
      const majors = (engines?.node ?? "0").split("||").map((range) => Number(/\d+/.exec(range)?.[0] ?? 0));
      return optional !== true && Math.min(...majors) > OLDEST_NODE;
    });
    expect(tooNew).toEqual([]);
  });

  // TypeScript 5 is there under a name of its own for its API, which the generator of clients needs. Its programs are taken out in the
  // lock file like the `engines` above, so that `tsc` is the one that checks this project whatever order npm links programs in.
  test("has a tsc of TypeScript itself only", () => {
    const bringing = Object.entries(packages).filter(([, { bin }]) => bin !== undefined && ("tsc" in bin || "tsserver" in bin));
    expect(bringing.map(([path]) => path)).toEqual(["node_modules/typescript"]);
  });
});
