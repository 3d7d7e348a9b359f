import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/** What the files of each room of `src` may import of the other rooms, besides their own. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  "config.ts": ["orders"],
  "provider-keys.ts": ["config.ts", "orders"],
  "fault-log.ts": [],
  "welcome.ts": [],
  "log-for-people.ts": [],
  "node-http.ts": [],
  "signals.ts": ["composition"],
  concurrency: [],
  permits: ["concurrency"],
  outgoing: ["node-http.ts"],
  retries: ["concurrency"],
  orders: ["retries", "permits", "concurrency"],
  threads: ["orders", "diagnosis", "permits", "concurrency"],
  journal: ["orders", "retries", "concurrency"],
  telemetry: ["orders", "concurrency"],
  webhooks: ["orders", "outgoing", "retries", "concurrency"],
  admission: ["orders", "permits", "concurrency"],
  engines: ["orders", "journal", "webhooks", "outgoing", "retries", "permits", "concurrency", "config.ts"],
  http: ["orders", "permits", "concurrency", "node-http.ts"],
  diagnosis: ["orders", "concurrency"],
  admin: ["http", "diagnosis", "orders", "permits", "concurrency"],
};

/** Packages that belong to some rooms only; `service.ts` alone may have them all. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  express: ["http", "admin"],
  piscina: ["threads", "journal"],
  "prom-client": ["admin"],
  "@opentelemetry": ["telemetry"],
  "@restatedev": ["engines"],
};

/** Rooms that import no package but those of Node itself. */
const WITHOUT_PACKAGES = ["outgoing"];

const CLOSED_TO_WORKERS = ["http", "admin", "journal"];
/** The protocols of the threads stand with their clients in `src`. */
const PROTOCOL_FILE = /^src\/(threads|journal)\/protocol\.ts$/;
const RUN_BY_WORKERS =
  /^src\/(node-http\.ts|(concurrency|outgoing)\/.+|threads\/(cancel-board|layout|protocol|tracker)\.ts|diagnosis\/snapshot-state\.ts|orders\/(answer|event-payload|outcome|steps|error-kind|steps\/.+)\.ts)$/;
/** It puts everything together, with what stands in a room that is nobody else's. */
const ROOT = "src/service.ts";
const ROOT_ROOM = "composition";
/** The process around it: from the rooms it has what its one line at a failed start needs. */
const PROCESS = "src/main.ts";

interface Import {
  /** Path from the project's root, or the name of a package. */
  readonly target: string;
  /** Gone when the types are stripped; `import { type X }` is not, its file is still loaded. */
  readonly typeOnly: boolean;
  /** Loaded when that line runs, if ever. */
  readonly lazy: boolean;
}

function importsOf(path: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\b(?!\s*(?:,|from\b)))?(?:[^"';]*?\bfrom\s*)?["']([^"']+)["']/gm);
  const calls = text.matchAll(/\b(?:import|require)\s*\(\s*["'`]([^"'`]+)["'`]/g);
  const found = [
    ...[...statements].map(([, type, specifier = ""]) => ({ specifier, typeOnly: type !== undefined, lazy: false })),
    ...[...calls].map(([, specifier = ""]) => ({ specifier, typeOnly: false, lazy: true })),
  ];
  return found.map(({ specifier, typeOnly, lazy }) => ({
    target: specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier,
    typeOnly,
    lazy,
  }));
}

/** Every import that goes against an arrow, as `file -> target`. `files`: text by path from the project's root. */
function offences(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) =>
    importsOf(path, text)
      .filter((imported) => !isAllowed(path, imported))
      .map(({ target }) => `${path} -> ${target}`),
  );
}

function isAllowed(path: string, imported: Import): boolean {
  if (path === ROOT) return imported.target !== PROCESS;
  if (roomOf(path) === ROOT_ROOM) return imported.target !== PROCESS && imported.target !== ROOT;
  if (path === PROCESS) return isPackage(imported.target) ? PACKAGES[packageOf(imported.target)] === undefined : isInSrc(imported);
  if (imported.target === ROOT || imported.target === PROCESS) return false;
  if (path.startsWith("workers/")) return mayWorkersImport(imported);
  return mayRoomImport(roomOf(path), imported);
}

function isInSrc({ target }: Import): boolean {
  return target.startsWith("src/");
}

function mayRoomImport(room: string, { target }: Import): boolean {
  // A room that nobody has drawn arrows for has none.
  if (target.startsWith("src/")) return roomOf(target) === room || (ARROWS[room]?.includes(roomOf(target)) ?? false);
  if (WITHOUT_PACKAGES.includes(room)) return target.startsWith("node:");
  return isPackage(target) && (PACKAGES[packageOf(target)]?.includes(room) ?? true);
}

function mayWorkersImport({ target, typeOnly }: Import): boolean {
  if (target.startsWith("workers/")) return true;
  if (!target.startsWith("src/")) return isPackage(target) && PACKAGES[packageOf(target)] === undefined;
  return typeOnly ? PROTOCOL_FILE.test(target) || !CLOSED_TO_WORKERS.includes(roomOf(target)) : RUN_BY_WORKERS.test(target);
}

/** `src/http/x.ts` is in `http`; a file directly in `src` is a room of its own. */
function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Anything else leads into another part of the project. */
function isPackage(target: string): boolean {
  return /^(node:|@?[a-z])/.test(target) && !/^(src|workers|test|load)\//.test(target);
}

function packageOf(target: string): string {
  return target.split("/")[0] ?? "";
}

const projectFiles = new Map(
  globSync(["src/**/*.ts", "workers/**/*.ts"], { cwd: PROJECT }).map((name) => {
    const path = name.replaceAll("\\", "/");
    return [path, readFileSync(posix.join(PROJECT, path), "utf8")] as const;
  }),
);

describe("the arrows between the rooms", () => {
  test("are kept by every file of src and workers", () => {
    expect(offences(projectFiles)).toEqual([]);
  });

  test("are read from the real files", () => {
    const seen = [...projectFiles].flatMap(([path, text]) => importsOf(path, text).map(({ target }) => `${path} -> ${target}`));
    expect(seen).toEqual(
      expect.arrayContaining([
        "src/main.ts -> src/service.ts",
        "src/composition/threads.ts -> src/threads/thread-runtime.ts",
        "src/composition/threads.ts -> workers/settings.ts",
        "src/threads/piscina-threads.ts -> piscina",
        "src/orders/pipeline.ts -> src/permits/capacity.ts",
        "workers/runtime/serve.ts -> src/threads/cancel-board.ts",
      ]),
    );
    // Every import statement has been understood: no file has more of them than were found.
    for (const [path, text] of projectFiles) {
      expect([path, importsOf(path, text).length]).toEqual([
        path,
        text.match(/\bfrom "[^"]+";$|^import "[^"]+";$|\bimport\("/gm)?.length ?? 0,
      ]);
    }
  });
});

test("no file of workers has a default export: a thread that is terminated while it loads one aborts the process", () => {
  // Seen with Node 26.10: `require` of such a module ends in an assertion (`CreateRequiredModuleFacade`) when it is cut short.
  const files = [...projectFiles].filter(([path]) => path.startsWith("workers/"));
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter(([, text]) => /\bexport default\b|\bas default\b/.test(text)).map(([path]) => path)).toEqual([]);
});

test("the embedded engine's start loads nothing of the distributed one", () => {
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    const text = projectFiles.get(path);
    if (text === undefined) return;
    for (const { target, typeOnly, lazy } of importsOf(path, text)) if (!typeOnly && !lazy) load(target);
  };
  load("src/main.ts");
  expect(loaded).toContain("src/engines/embedded/embedded-engine.ts");
  expect([...loaded].filter((path) => path.includes("restate"))).toEqual([]);
});

describe("an import against an arrow is found", () => {
  test.each([
    ["src/concurrency/x.ts", 'import { a } from "../orders/order.ts";'],
    ["src/concurrency/x.ts", 'import type { A } from "../orders/order.ts";'],
    ["src/concurrency/x.ts", 'import { a } from "../config.ts";'],
    ["src/orders/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/orders/x.ts", 'import { a } from "../threads/layout.ts";'],
    ["src/orders/x.ts", 'import type { Request } from "express";'],
    ["src/orders/x.ts", 'import { Piscina } from "piscina";'],
    ["src/orders/deep/x.ts", 'import { a } from "../../admin/admin-app.ts";'],
    ["src/threads/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/threads/x.ts", 'import { a } from "../config.ts";'],
    ["src/threads/x.ts", 'import { a } from "../../workers/main.ts";'],
    ["src/threads/x.ts", 'import express from "express";'],
    ["src/http/x.ts", 'import { a } from "../threads/thread-runtime.ts";'],
    ["src/http/x.ts", 'import type { A } from "../threads/thread-runtime.ts";'],
    ["src/http/x.ts", 'import { a } from "../admin/admin-app.ts";'],
    ["src/http/x.ts", 'import { Piscina } from "piscina";'],
    ["src/admin/x.ts", 'import { a } from "../threads/thread-runtime.ts";'],
    ["src/admin/x.ts", 'import { a } from "../journal/journal.ts";'],
    ["src/orders/x.ts", 'import { a } from "../admission/admission.ts";'],
    ["src/admission/x.ts", 'import { a } from "../threads/thread-runtime.ts";'],
    ["src/admission/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/telemetry/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/telemetry/x.ts", 'import { a } from "../threads/thread-runtime.ts";'],
    ["src/orders/x.ts", 'import { a } from "../telemetry/tracing.ts";'],
    ["src/orders/x.ts", 'import type { HrTime } from "@opentelemetry/api";'],
    ["workers/runtime/x.ts", 'import { SpanKind } from "@opentelemetry/api";'],
    ["src/config.ts", 'import { a } from "./http/status.ts";'],
    ["src/http/x.ts", 'import { start } from "../service.ts";'],
    ["src/service.ts", 'import { a } from "./main.ts";'],
    ["src/main.ts", 'import { Piscina } from "piscina";'],
    ["src/main.ts", 'import type { A } from "../workers/settings.ts";'],
    ["src/retries/x.ts", 'import { a } from "../orders/order.ts";'],
    ["src/threads/x.ts", 'import { a } from "../retries/backoff.ts";'],
    ["src/journal/x.ts", 'import type { A } from "../../workers/journal/writer.ts";'],
    ["workers/journal/x.ts", 'import { a } from "../../src/journal/protocol.ts";'],
    ["src/journal/x.ts", 'import type { A } from "../../workers/settings.ts";'],
    ["src/journal/x.ts", 'import { a } from "../threads/thread-pool.ts";'],
    ["src/webhooks/x.ts", 'import { a } from "../http/status.ts";'],
    ["src/retries/x.ts", 'import type { A } from "../orders/order-event.ts";'],
    ["src/threads/x.ts", 'import { a } from "../retries/retry-queue.ts";'],
    ["src/outgoing/x.ts", 'import type { A } from "../concurrency/cancel-scope.ts";'],
    ["src/outgoing/x.ts", 'import type { A } from "../orders/order-event.ts";'],
    ["src/outgoing/x.ts", 'import pino from "pino";'],
    ["src/orders/x.ts", 'import { a } from "../outgoing/post.ts";'],
    ["src/retries/x.ts", 'import type { A } from "../outgoing/post.ts";'],
    ["src/http/x.ts", 'import { a } from "../outgoing/post.ts";'],
    ["src/threads/x.ts", 'import { a } from "../outgoing/post.ts";'],
    ["src/unheard-of/x.ts", 'import { a } from "../orders/order.ts";'],
    ["src/orders/x.ts", 'import { a } from "../../test/support/service.ts";'],
    ["workers/steps/x.ts", 'import { a } from "../../src/http/status.ts";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/http/status.ts";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/journal/journal.ts";'],
    ["workers/steps/x.ts", 'import type { A } from "../../src/admin/admin-app.ts";'],
    ["workers/steps/x.ts", 'import { STEPS } from "../../src/orders/step.ts";'],
    ["workers/steps/x.ts", 'import { type StepName } from "../../src/orders/step.ts";'],
    ["workers/steps/x.ts", 'import { a } from "../../src/threads/thread-runtime.ts";'],
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
      'import { Piscina } from "piscina";\nimport { a } from "./threads/layout.ts";\nimport type { B } from "../workers/settings.ts";',
    ],
    [
      "src/main.ts",
      'import { pino } from "pino";\nimport { start } from "./service.ts";\nimport { ListenError } from "./http/listener.ts";',
    ],
    ["src/webhooks/x.ts", 'import { a } from "../retries/retry-queue.ts";\nimport type { B } from "../orders/order-event.ts";'],
    ["src/telemetry/x.ts", 'import type { HrTime } from "@opentelemetry/api";\nimport type { A } from "../orders/ended-order.ts";'],
    ["src/webhooks/x.ts", 'import { a } from "../outgoing/post.ts";'],
    ["src/outgoing/x.ts", 'import { Agent } from "node:http";\nimport { a } from "./discard-body.ts";'],
    ["workers/providers/x.ts", 'import { a } from "../../src/outgoing/post.ts";'],
    ["src/orders/x.ts", 'import { a } from "../permits/capacity.ts";\nimport { b } from "./order.ts";\nimport { c } from "node:path";'],
    ["src/threads/x.ts", 'import { Piscina } from "piscina";\nimport type { A } from "../orders/step.ts";'],
    ["src/http/x.ts", 'import express from "express";\nimport { a } from "../orders/order-service.ts";'],
    ["src/admission/x.ts", 'import { a } from "../concurrency/clock.ts";\nimport type { B } from "../orders/admission-gate.ts";'],
    ["src/journal/x.ts", 'import type { A } from "./protocol.ts";\nimport { Piscina } from "piscina";'],
    ["src/admin/x.ts", 'import { a } from "../http/answers.ts";\nimport { Router } from "express";'],
    [
      "workers/steps/x.ts",
      'import type { A } from "../../src/orders/step.ts";\nimport { b } from "../../src/concurrency/cancel-cause.ts";',
    ],
    ["workers/runtime/x.ts", 'import { Layout } from "../../src/threads/layout.ts";\nimport { c } from "../steps/payment.ts";'],
    ["workers/journal/x.ts", 'import type { A } from "../../src/journal/protocol.ts";\nimport { b } from "../../src/orders/answer.ts";'],
    ["src/orders/x.ts", '/**\n * import { a } from "../http/status.ts";\n */\n// import { a } from "../http/status.ts";'],
  ])("and nothing else is: %s: %s", (path, text) => {
    expect(offences(new Map([[path, text]]))).toEqual([]);
  });
});
