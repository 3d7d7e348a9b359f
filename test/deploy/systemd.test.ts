import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { ChildServer } from "../support/child-server.ts";
import { send } from "../support/http-client.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const UNIT = readFileSync(join(PROJECT, "deploy/systemd/order-pipeline.service"), "utf8");
const INSTALLED = "/opt/order-pipeline";
// Of 10 tenths each; what is left is what an HTTP server on V8 needs: the network, the host's file system, executable memory.
const MAX_EXPOSURE = 20;

const WITHOUT_SYSTEMD = spawnSync("systemd-analyze", ["--version"]).status === 0 ? undefined : "systemd-analyze is not installed";
if (WITHOUT_SYSTEMD !== undefined) console.warn(`the systemd unit is not verified: ${WITHOUT_SYSTEMD}`);

function analyze(text: string, ...args: string[]): { status: number | null; output: string } {
  const directory = mkdtempSync(join(tmpdir(), "unit-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "order-pipeline.service");
  // Its command has to be there.
  writeFileSync(file, text.replaceAll(INSTALLED, PROJECT));
  const { status, stdout, stderr } = spawnSync("systemd-analyze", [...args, file], { encoding: "utf8" });
  // It also says what is wrong with other units of the machine.
  const lines = (stdout + stderr).split("\n").filter((line) => line.includes("order-pipeline"));
  return { status, output: lines.join("\n") };
}

/** The values of a directive, in order. */
const valuesOf = (name: string) => [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value ?? "");

describe("deploy/systemd/order-pipeline.service", () => {
  test.skipIf(WITHOUT_SYSTEMD !== undefined)("is verified by systemd-analyze, which knows what is wrong", () => {
    expect(analyze(UNIT, "verify")).toEqual({ status: 0, output: "" });
    expect(analyze(UNIT.replace("ProtectHome=", "ProtectHomes="), "verify").output).toContain("ProtectHomes");
  });

  test.skipIf(WITHOUT_SYSTEMD !== undefined)("leaves little exposed", () => {
    const { status, output } = analyze(UNIT, "security", "--offline=true", `--threshold=${MAX_EXPOSURE}`);
    expect(output).toContain("Overall exposure level");
    expect([status, status === 0 ? "" : output]).toEqual([0, ""]);
  });

  test("sets what exists, in places that the service may write to", () => {
    const settings = Object.fromEntries(valuesOf("Environment").map((pair) => pair.split("=") as [string, string]));
    const { NODE_COMPILE_CACHE, ...own } = settings;
    const config = readConfig(own);
    expect(Object.keys(own).filter((name) => !(name in config))).toEqual([]);
    const [state, backups] = valuesOf("StateDirectory")[0]?.split(" ") ?? [];
    expect([own.JOURNAL, own.BACKUP_DIR, NODE_COMPILE_CACHE]).toEqual([
      `%S/${state}/orders.db`,
      `%S/${backups}`,
      `%C/${valuesOf("CacheDirectory")[0]}`,
    ]);
    // Without a file to read again a SIGHUP would end the process.
    expect(own.ADMIN_KEYS_FILE).toMatch(/^\/etc\//);
  });

  test("gives the drain its time and the connections their descriptors, and starts again whatever happens", () => {
    const { SHUTDOWN_TIMEOUT_MS, MAX_CONNECTIONS, PAYMENT_CAPACITY, VENDOR_CAPACITY, COURIER_CAPACITY } = readConfig({});
    expect(Number(valuesOf("TimeoutStopSec")[0]) * 1_000).toBeGreaterThanOrEqual(SHUTDOWN_TIMEOUT_MS + 5_000);
    const sockets = MAX_CONNECTIONS + PAYMENT_CAPACITY + VENDOR_CAPACITY + COURIER_CAPACITY;
    expect(Number(valuesOf("LimitNOFILE")[0])).toBeGreaterThan(2 * sockets);
    expect(valuesOf("Restart")).toEqual(["always"]);
  });
});

const INSTALL = join(PROJECT, "deploy/systemd/install.sh");
const NEEDED = ["npm", "systemctl", "systemd-sysusers"];
const CANNOT_INSTALL = NEEDED.some((program) => spawnSync(program, ["--version"]).status !== 0) || process.getuid?.() !== 0;
if (CANNOT_INSTALL) console.warn(`the unit is not installed: that needs root, ${NEEDED.join(", ")}`);

/** A clean directory that another user may enter. */
function openDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "root-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  return directory;
}

function install(args: readonly string[], { PATH = process.env.PATH ?? "", ...as }: { PATH?: string; uid?: number } = {}) {
  const env = { PATH, HOME: process.env.HOME ?? "", NPM_CONFIG_PREFER_OFFLINE: "true" };
  const { status, stdout, stderr } = spawnSync("sh", [INSTALL, ...args], { env, encoding: "utf8", ...as });
  return { status, output: stdout + stderr };
}

/** A directory with an `npm` that does this instead. */
function npmThat(does: string): string {
  const directory = openDirectory();
  writeFileSync(join(directory, "npm"), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  return `${directory}:${process.env.PATH}`;
}

describe.skipIf(CANNOT_INSTALL)("deploy/systemd/install.sh", () => {
  test("says what it does, and what is wrong with how it was called", () => {
    expect(install(["--help"])).toEqual({ status: 0, output: expect.stringContaining("/etc/order-pipeline/admin-keys") });
    for (const [args, as, fault] of [
      [["--roof"], {}, "unknown option --roof"],
      [["--root"], {}, "--root needs a directory"],
      [["--root", "/no/such"], {}, "/no/such is not a directory"],
      [["--root", tmpdir()], { uid: 65_534 }, "must be run as root"],
    ] as const) {
      expect(install(args, as)).toEqual({
        status: 1,
        output: `install.sh: ${fault}${fault.startsWith("unknown") ? "; --help has all" : ""}\n`,
      });
    }
  });

  test("makes of an empty root all that the unit names, runs again, and leaves what stands where it fails", async () => {
    const root = openDirectory();
    const first = install(["--root", root]);
    expect([first.status, first.status === 0 ? "" : first.output]).toEqual([0, ""]);
    const at = (path: string) => join(root, path);
    const [, uid, gid] = (/^order-pipeline:x:(\d+):(\d+):/m.exec(readFileSync(at("etc/passwd"), "utf8")) ?? []).map(Number);
    if (uid === undefined || gid === undefined) throw new Error("there is no user");
    const modesOf = (...paths: string[]) =>
      paths.map((path) => [statSync(at(path)).mode & 0o777, statSync(at(path)).uid, statSync(at(path)).gid]);
    expect(modesOf("etc/order-pipeline", "etc/order-pipeline/admin-keys", "etc/order-pipeline/settings", INSTALLED)).toEqual([
      [0o750, 0, gid],
      [0o640, 0, gid],
      [0o640, 0, gid],
      [0o755, 0, 0],
    ]);
    const unit = "etc/systemd/system/order-pipeline.service";
    expect(readFileSync(at(unit), "utf8")).toBe(UNIT);
    expect(lstatSync(at("etc/systemd/system/multi-user.target.wants/order-pipeline.service")).isSymbolicLink()).toBe(true);

    // As the unit starts it.
    const directories = { "%S": at("var/lib"), "%C": at("var/cache") };
    for (const name of [...valuesOf("StateDirectory"), ...valuesOf("CacheDirectory")].flatMap((names) => names.split(" "))) {
      for (const parent of Object.values(directories)) {
        mkdirSync(join(parent, name), { recursive: true });
        chownSync(join(parent, name), uid, gid);
      }
    }
    const settings = valuesOf("Environment").map((pair) => {
      const [name = "", value = ""] = pair.split("=");
      return [name, value.replace(/%[SC]/, (directory) => directories[directory as "%S"]).replace(/^\/etc/, at("etc"))];
    });
    const [program = "", ...args] = valuesOf("ExecStart")[0]?.split(" ") ?? [];
    const key = readFileSync(at("etc/order-pipeline/admin-keys"), "utf8").trim();
    expect(key).toMatch(/^[0-9a-f]{48}$/);
    {
      await using server = new ChildServer(Object.fromEntries(settings), [at(program), ...args], { cwd: at(INSTALLED), uid, gid });
      const { port, adminPort } = await server.ports();
      expect((await send(port, { path: "/readyz" })).status).toBe(200);
      expect((await send(adminPort, { path: "/debug/threads" })).status).toBe(401);
      expect((await send(adminPort, { path: "/debug/threads", headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
    }

    // An upgrade: what the old version had and the new one has not is gone, what an operator wrote is kept.
    writeFileSync(at(`${INSTALLED}/src/of-the-old-version.ts`), "");
    writeFileSync(at("etc/order-pipeline/settings"), "LOG_LEVEL=warn\n");
    const program1 = statSync(at(INSTALLED)).ino;
    const failed = install(["--root", root], { PATH: npmThat("exit 1") });
    expect([failed.status, failed.output.includes("npm ci failed; nothing was changed")]).toEqual([1, true]);
    expect([statSync(at(INSTALLED)).ino, existsSync(at(`${INSTALLED}/src/of-the-old-version.ts`))]).toEqual([program1, true]);
    // The packages are those of before, which takes no time.
    const again = install(["--root", root], { PATH: npmThat(`exec cp -al ${at(INSTALLED)}/node_modules .`) });
    expect([again.status, again.status === 0 ? "" : again.output]).toEqual([0, ""]);
    expect([existsSync(at(`${INSTALLED}/src/main.ts`)), existsSync(at(`${INSTALLED}/src/of-the-old-version.ts`))]).toEqual([true, false]);
    expect(readdirSync(at("opt"))).toEqual(["order-pipeline"]);
    expect(readFileSync(at("etc/order-pipeline/settings"), "utf8")).toBe("LOG_LEVEL=warn\n");
    expect(readFileSync(at("etc/order-pipeline/admin-keys"), "utf8")).toBe(`${key}\n`);
  });
});
