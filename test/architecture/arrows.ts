import { type Files, type Import, importsOf } from "./imports.ts";

/** What the files of each room of `src` may import of the other rooms, besides their own. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  "config.ts": ["orders", "journal", "couriers", "setting-rules.ts", "text-table.ts"],
  "setting-rules.ts": [],
  "provider-keys.ts": ["config.ts", "orders", "secret-file.ts"],
  "secret-file.ts": [],
  "fault-log.ts": [],
  "welcome.ts": [],
  "terminal-log.ts": [],
  "text-table.ts": [],
  "log-output.ts": [],
  "node-http.ts": [],
  "periodic.ts": ["threads"],
  "signals.ts": ["composition", "threads"],
  threads: [],
  resilience: ["threads", "node-http.ts"],
  orders: ["resilience", "threads"],
  journal: ["orders", "resilience", "threads", "periodic.ts"],
  couriers: ["orders", "threads"],
  telemetry: ["orders", "threads"],
  webhooks: ["orders", "resilience", "threads", "secret-file.ts"],
  admission: ["orders", "threads"],
  http: ["orders", "threads", "node-http.ts", "secret-file.ts"],
  diagnosis: ["orders", "threads"],
  admin: ["http", "diagnosis", "orders", "threads", "periodic.ts"],
};

/** Packages that belong to some rooms or files only; `service.ts` alone may have them all. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  express: ["http", "admin"],
  piscina: ["src/threads/pool-threads.ts", "src/threads/pool-workers.ts", "src/journal/sqlite-thread.ts"],
  "prom-client": ["admin"],
  pg: ["src/journal/postgres/connection.ts", "src/journal/postgres/address.ts"],
  "@opentelemetry": ["telemetry"],
};

/** Rooms that import no other packages, but those of Node itself. */
const ONLY_PACKAGES: Readonly<Record<string, readonly string[]>> = { resilience: [], threads: ["piscina"] };

/** What users of the library import of it: one file on the main thread, one on the threads of tasks. */
export const MAIN_DOOR = "src/threads/index.ts";
export const WORKER_DOOR = "src/threads/worker/index.ts";

/** What the two parts of the library share: the main thread's and that of the threads of tasks, which is `worker/`. */
export const SHARED_BY_LIBRARY = /^src\/threads\/(cancel-board|cancelable|canceled|clock|layout|outcome|protocol|sleep|tracker)\.ts$/;

const CLOSED_TO_WORKERS = ["http", "admin", "journal"];
/** The journal's protocol, its rules and the SQL that two stores share stand with its client in `src`. */
const OF_THE_JOURNAL = /^src\/journal\/(protocol|rules\/.+|sql\/.+)\.ts$/;
/** What runs on other threads than the main one of all that is outside the library and `workers`. */
export const RUN_BY_WORKERS =
  /^src\/(node-http\.ts|resilience\/(backoff|post|retry-after)\.ts|journal\/(rules|sql)\/.+|orders\/(answer|compensation-state|outcome|step-task|steps|error-kind|steps\/.+)\.ts)$/;
/** It puts everything together, with what stands in a room that is nobody else's. */
const ROOT = "src/service.ts";
const ROOT_ROOM = "composition";
/** The process around it: from the rooms it has what its one line at a failed start needs. */
const PROCESS = "src/main.ts";

/** Every import that goes against an arrow, as `file -> target`. */
export function offences(files: Files): string[] {
  return [...files].flatMap(([path, text]) =>
    importsOf(path, text)
      .filter((imported) => !isAllowed(path, imported))
      .map(({ target }) => `${path} -> ${target}`),
  );
}

function isAllowed(path: string, imported: Import): boolean {
  const { target } = imported;
  if (isOfLibrary(path)) return mayLibraryImport(path, imported);
  if (isOfLibrary(target) && target !== (path.startsWith("workers/") ? WORKER_DOOR : MAIN_DOOR)) return false;
  if (path === ROOT) return target !== PROCESS;
  if (roomOf(path) === ROOT_ROOM) return target !== PROCESS && target !== ROOT;
  if (path === PROCESS) return isPackage(target) ? PACKAGES[packageOf(target)] === undefined : target.startsWith("src/");
  if (target === ROOT || target === PROCESS) return false;
  if (path.startsWith("workers/")) return mayWorkersImport(imported);
  return mayRoomImport(path, target);
}

function mayLibraryImport(path: string, { target, typeOnly }: Import): boolean {
  if (!isOfLibrary(target)) return isPackage(target) && mayHavePackage(path, target);
  // The examples are users.
  const [example] = /^src\/threads\/examples\/[^/]+\//.exec(path) ?? [];
  if (example !== undefined) return target === MAIN_DOOR || target === WORKER_DOOR || target.startsWith(example);
  if (target.startsWith("src/threads/examples/")) return false;
  return typeOnly || ["shared", partOf(path)].includes(partOf(target));
}

function isOfLibrary(path: string): boolean {
  return path.startsWith("src/threads/");
}

function partOf(path: string): "shared" | "worker" | "main" {
  if (SHARED_BY_LIBRARY.test(path)) return "shared";
  return path.startsWith("src/threads/worker/") ? "worker" : "main";
}

function mayRoomImport(path: string, target: string): boolean {
  const room = roomOf(path);
  // A room that nobody has drawn arrows for has none.
  if (target.startsWith("src/")) return roomOf(target) === room || (ARROWS[room]?.includes(roomOf(target)) ?? false);
  return isPackage(target) && mayHavePackage(path, target);
}

function mayHavePackage(path: string, target: string): boolean {
  if (target.startsWith("node:")) return true;
  const [room, name] = [roomOf(path), packageOf(target)];
  if (ONLY_PACKAGES[room]?.includes(name) === false) return false;
  const owners = PACKAGES[name];
  return owners === undefined || owners.includes(room) || owners.includes(path);
}

function mayWorkersImport({ target, typeOnly }: Import): boolean {
  if (target.startsWith("workers/") || target === WORKER_DOOR) return true;
  if (!target.startsWith("src/")) return isPackage(target) && PACKAGES[packageOf(target)] === undefined;
  return typeOnly ? OF_THE_JOURNAL.test(target) || !CLOSED_TO_WORKERS.includes(roomOf(target)) : RUN_BY_WORKERS.test(target);
}

/** `src/http/x.ts` is in `http`; a file directly in `src` is a room of its own. */
export function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Anything else leads into another part of the project. */
function isPackage(target: string): boolean {
  return /^(node:|@?[a-z])/.test(target) && !/^(src|workers|test|load)\//.test(target);
}

function packageOf(target: string): string {
  return target.split("/")[0] ?? "";
}
