import { spawn, spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { perStep } from "../src/orders/steps.ts";
import { ChildServer } from "./support/child-server.ts";
import { eventually } from "./support/eventually.ts";
import { newId, orderOf, postOrder, send } from "./support/http-client.ts";
import { startService } from "./support/service.ts";

const PRELOAD = fileURLToPath(new URL("support/tell-modules.js", import.meta.url));
const MAIN_THREAD = 0;
/** Gives a command a terminal, whose keys are its own standard input. */
const hasTerminal = existsSync("/proc/self/fd") && spawnSync("script", ["--version"]).stdout?.includes("util-linux");
const CTRL_C = "\x03";
const directory = mkdtempSync(join(tmpdir(), "start-"));
const file = join(directory, "modules");
/** By thread. */
const loaded = new Map<number, string[]>();

beforeAll(async () => {
  const settings = { JOURNAL: join(directory, "orders.db"), MODULES_FILE: file, NODE_COMPILE_CACHE: join(directory, "cache") };
  // The first start leaves the cache behind; what it loads does not count.
  for (const target of [join(directory, "first"), file]) {
    await using server = new ChildServer({ ...settings, MODULES_FILE: target }, [process.execPath, "--import", PRELOAD, "src/start.js"]);
    const { port } = await server.ports();
    expect((await postOrder(port, orderOf(newId("first"), 0))).status).toBe(200);
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
  }
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const [, thread, module = ""] = /^(\d+) (.*)$/.exec(line) ?? [];
    loaded.set(Number(thread), [...(loaded.get(Number(thread)) ?? []), module]);
  }
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a start loads neither what strips types, nor undici, nor what only some requests need", () => {
  const modules = loaded.get(MAIN_THREAD) ?? [];
  expect(modules.some((name) => name.endsWith("/src/service.ts"))).toBe(true);
  expect(modules).toContain("NativeModule http");
  const unwanted = /deps\/(amaro|undici)|\/node_modules\/(prom-client|@opentelemetry|pino-pretty)\/|\/openapi\//;
  expect(modules.filter((name) => unwanted.test(name))).toEqual([]);
});

test("a thread loads no more than steps, or the journal, need", () => {
  const threads = [...loaded].filter(([thread]) => thread !== MAIN_THREAD).map(([, modules]) => modules);
  const serving = (path: string) => threads.filter((modules) => modules.some((name) => name.endsWith(path)));
  expect(serving("/workers/main.ts").length).toBeGreaterThan(0);
  // One writes, one reads.
  expect(serving("/workers/journal/main.ts").length).toBe(2);
  expect(threads.length).toBe(serving("/workers/main.ts").length + 2);
  const packages = threads.flat().flatMap((name) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1] ?? []);
  expect([...new Set(packages)]).toEqual(["piscina"]);
  // Providers over HTTP bring `node:http` in when there are any, a webhook's event and a backup `node:crypto` and `node:fs/promises`.
  expect(threads.flat().filter((name) => /^node:(https?|crypto|fs\/promises|v8)$/.test(name))).toEqual([]);
});

test("the exclusive pool starts with the first step that computes", async () => {
  await using server = await startService({ THREADS: "1", CPU_THREADS: "2", ORDER_TIMEOUT_MS: "60000" });
  const pools = () => server.service.threads.statistics().threads.map(({ pool }) => pool);
  expect(pools()).toEqual(["shared"]);
  const order = { order_id: newId("computes"), amount: 1, cpu_ms: perStep(() => 1) };
  expect(await postOrder(server.port, order)).toMatchObject({ status: 200, json: { status: "ok" } });
  await eventually("both threads", pools, (seen) => seen.length === 3);
  expect((await send(server.adminPort, { path: "/metrics" })).text).toMatch(/^threads\{pool="exclusive"\} 2$/m);
});

describe.skipIf(process.platform === "win32")("a start that does not come to its end", () => {
  test.skipIf(!existsSync("/proc/self/fd"))("for another process has the journal: SIGTERM ends it with 0", async () => {
    const lock = join(directory, "held.db.lock");
    const holder = new DatabaseSync(lock);
    try {
      holder.exec("BEGIN EXCLUSIVE");
      await using server = new ChildServer({ JOURNAL: join(directory, "held.db") });
      await eventually("it to wait for the lock", () => hasOpen(server.process.pid, lock), Boolean, 20_000);
      server.signal("SIGTERM");
      expect(await server.exited).toEqual({ code: 0, signal: null });
      expect(server.stderr).toBe("");
      expect(server.logged).toMatchObject([{ level: 30, msg: "stopped before the start was over" }]);
    } finally {
      holder.close();
    }
  });

  test.skipIf(!hasTerminal)("on a terminal: Ctrl-C ends it with 0, and nothing comes up after it", async () => {
    const lock = join(directory, "typed.db.lock");
    const holder = new DatabaseSync(lock);
    const { PATH = "", HOME = "" } = process.env;
    const env = { PATH, HOME, PORT: "0", ADMIN_PORT: "0", JOURNAL: join(directory, "typed.db") };
    const terminal = spawn("script", ["-qefc", `exec ${process.execPath} src/start.js`, "/dev/null"], { env });
    let text = "";
    terminal.stdout.on("data", (chunk) => (text += chunk));
    try {
      holder.exec("BEGIN EXCLUSIVE");
      await eventually("it to wait for the lock", () => childrenOf(terminal.pid).some((pid) => hasOpen(pid, lock)), Boolean, 20_000);
      terminal.stdin.write(CTRL_C);
      await eventually("it to hear the key", () => text.includes("stopped before the start was over"));
      holder.exec("COMMIT");
      await eventually("its end", () => terminal.exitCode !== null || text.includes("is up"));
      expect([terminal.exitCode, text.includes("is up")]).toEqual([0, false]);
    } finally {
      holder.close();
      terminal.kill("SIGKILL");
    }
  });

  test("for a file that is never read to its end: says so, SIGTERM is heard, and a second one ends it", async () => {
    const keys = join(directory, "keys");
    expect(spawnSync("mkfifo", [keys]).status).toBe(0);
    await using server = new ChildServer({ ADMIN_KEYS_FILE: keys });
    const pipe = await eventually(
      "it to read the file",
      () => openToWrite(keys),
      (fd) => fd !== undefined,
      20_000,
    );
    try {
      await eventually("it to say what it waits for", () =>
        server.logged.some(({ msg }) => /^still starting: reading the configuration/.test(msg)),
      );
      server.signal("SIGTERM");
      // The line of the wait may come again meanwhile.
      await eventually("it to hear the signal", () => server.logged.some(({ msg }) => msg === "stopped before the start was over"));
      // Node may or may not get around the thread that reads.
      server.signal("SIGTERM");
      expect([0, null]).toContain((await server.exited).code);
    } finally {
      closeSync(pipe as number);
    }
  });
});

function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function hasOpen(pid: number | undefined, file: string): boolean {
  try {
    const directory = `/proc/${pid}/fd`;
    return readdirSync(directory).some((fd) => readlinkSync(join(directory, fd)) === file);
  } catch {
    // A file that was closed meanwhile.
    return false;
  }
}

/** Opens a named pipe, undefined while nobody reads it. */
function openToWrite(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
