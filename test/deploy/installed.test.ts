import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { postOrder, send } from "../support/http-client.ts";
import { freePort } from "../support/postgres/free-port.ts";
import { type Instruction, isInContext, readDockerfile } from "./dockerfile.ts";

const PROJECT = new URL("../../", import.meta.url);
const IGNORE = new URL(".dockerignore", PROJECT);
const [build = [], image = []] = readDockerfile(new URL("Dockerfile", PROJECT));
const isRoot = process.getuid?.() === 0;
// Nothing but where the packages come from: the cache that installing this project has filled, where it has them.
const FROM_CACHE = ["--prefer-offline", "--no-audit", "--no-fund"];

const of = (stage: readonly Instruction[], name: string) => stage.filter((instruction) => instruction.name === name);
const packagesOf = (stage: readonly Instruction[]) =>
  of(stage, "RUN").flatMap(({ text }) => / install -y --no-install-recommends (.+?) &&/.exec(text)?.[1]?.split(" ") ?? []);

test.skipIf(process.platform !== "linux")("the image's Debian packages hold every library of the runtime in the lock file", () => {
  const { stdout } = spawnSync("ldd", [process.execPath], { encoding: "utf8" });
  const libraries = [...stdout.matchAll(/^\s*(lib[\w+]+)\.so/gm)].map(([, name]) => name ?? "");
  expect(libraries).toContain("libc");
  // What is in the base image, and by which package the rest comes.
  const ofBase = ["libc", "libdl", "libm", "libpthread", "librt"];
  const packages: Readonly<Record<string, string>> = { libatomic: "libatomic1", "libstdc++": "libstdc++6", libgcc_s: "libstdc++6" };
  const needed = new Set(libraries.filter((name) => !ofBase.includes(name)).map((name) => packages[name] ?? `the package of ${name}`));
  expect(packagesOf(image).sort()).toEqual([...needed].sort());
});

/** What the Dockerfile's own steps, but for Debian's packages, make in a clean directory. Both ways to install use the packages in there. */
const directory = openDirectory();
const app = join(directory, "app");
beforeAll(() => {
  if (process.platform !== "linux") return;
  mkdirSync(app);
  let user = {};
  for (const { name, text } of build) {
    if (name === "COPY") copyInto(app, directory, text.split(" "));
    else if (name === "USER") user = asUser(text);
    else if (name === "RUN" && !text.startsWith("apt-get ")) {
      const command = text.replace("/tmp/", `${directory}/`);
      run(command.startsWith("npm ci ") ? `${command} ${FROM_CACHE.join(" ")}` : command, app, user);
    }
  }
  // An installation of all packages, which may have to come from elsewhere.
}, 600_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.skipIf(process.platform !== "linux")("what the Dockerfile makes starts, serves, is healthy, and ends at SIGTERM", async () => {
  const installed = readdirSync(join(app, "node_modules"));
  expect(installed).toContain("express");
  const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", PROJECT), "utf8"));
  // One that a production dependency needs as well is not marked so.
  const developing = Object.keys(packages).filter((path) => packages[path].dev === true);
  expect(developing.length).toBeGreaterThan(20);
  expect(developing.filter((path) => existsSync(join(app, path)))).toEqual([]);

  // The last stage: everything is root's, the journal's directory is the user's.
  expect(of(image, "COPY").map(({ text }) => text)).toEqual(["--from=build --chown=0:0 /app ./"]);
  if (isRoot) run("chown -R 0:0 .", app, {});
  const data = join(directory, "data");
  for (const { text } of of(image, "RUN")) if (text.startsWith("install ")) run(text.replace("/data", data), app, {});
  const settings = Object.fromEntries(
    of(image, "ENV").flatMap(({ text }) => text.split(" ").map((pair) => pair.split("=") as [string, string])),
  );
  expect(settings).toEqual({ HOST: "0.0.0.0", JOURNAL: "/data/orders.db" });
  const runtimeUser = asUser(of(image, "USER")[0]?.text ?? "");
  const cached = compileCache(app);
  expect(cached.length).toBeGreaterThan(10);

  const [port, adminPort] = [String(await freePort()), String(await freePort())];
  const env = { ...settings, HOST: "127.0.0.1", PORT: port, ADMIN_PORT: adminPort, JOURNAL: join(data, "orders.db") };
  const [file = "", ...args] = of(image, "ENTRYPOINT")[0]?.words ?? [];
  const [check = "", ...checkArgs] = of(image, "HEALTHCHECK")[0]?.words ?? [];
  const isHealthy = (at: object = {}) =>
    spawnSync(join(app, check), checkArgs, { cwd: app, env: { ADMIN_PORT: adminPort, ...at }, ...runtimeUser }).status === 0;
  await using server = new ChildServer(env, [join(app, file), ...args], { cwd: app, ...runtimeUser });
  const { port: listening } = await server.ports();
  expect(listening).toBe(Number(port));
  expect([isHealthy(), isHealthy({ ADMIN_HOST: "0.0.0.0" }), isHealthy({ ADMIN_PORT: "1" })]).toEqual([true, true, false]);
  expect((await send(listening, { path: "/readyz" })).status).toBe(200);
  expect(await postOrder(listening, { order_id: "first", amount: 1200 })).toMatchObject({ status: 200, json: { status: "ok" } });
  server.signal("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(server.stderr).toBe("");
  expect(isHealthy()).toBe(false);
  expect(statSync(join(data, "orders.db")).size).toBeGreaterThan(0);
  expect(compileCache(app)).toEqual(cached);
});

function copyInto(app: string, directory: string, paths: readonly string[]): void {
  const to = paths.at(-1) ?? "";
  for (const path of paths.slice(0, -1)) {
    expect([path, isInContext(IGNORE, path)]).toEqual([path, true]);
    const target = to === "/tmp/" ? join(directory, basename(path)) : join(app, to.endsWith("/") ? join(to, basename(path)) : to);
    cpSync(fileURLToPath(new URL(path, PROJECT)), target, { recursive: true });
    // As in a copy of the project that nobody else may read.
    run(`chmod -R go= ${target}`, app, {});
  }
}

/** Only root can run something as somebody else; anybody else runs it as who they are. */
function asUser(text: string): { uid?: number; gid?: number } {
  const [uid, gid] = text.split(":").map(Number);
  expect([uid, gid]).toEqual([10001, 10001]);
  return isRoot && uid !== undefined && gid !== undefined ? { uid, gid } : {};
}

function run(command: string, cwd: string, user: object): void {
  const own = isRoot ? command : command.replace(/ -o \d+ -g \d+/, "");
  const { PATH = "", HOME = "" } = process.env;
  // npm has its cache at home; what runs as the image's user has none.
  const env = "uid" in user ? { PATH } : { PATH, HOME };
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", own], { cwd, env, encoding: "utf8", ...user });
  expect({ command, status, output: status === 0 ? "" : stdout + stderr }).toEqual({ command, status: 0, output: "" });
}

function compileCache(app: string): string[] {
  return readdirSync(join(app, "node_modules/.cache/order-pipeline"), { recursive: true }).map(String).sort();
}

/** A clean directory that another user may enter. */
function openDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "installed-"));
  chmodSync(directory, 0o755);
  return directory;
}

/** The same, for one test. */
function ownDirectory(): string {
  const directory = openDirectory();
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const INSTALL = fileURLToPath(new URL("deploy/systemd/install.sh", PROJECT));
const UNIT = readFileSync(new URL("deploy/systemd/order-pipeline.service", PROJECT), "utf8");
const INSTALLED = "/opt/order-pipeline";
/** The words of a directive of the unit, in order. */
const valuesOf = (name: string) => [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].flatMap(([, value = ""]) => value.split(" "));
const NEEDED = ["npm", "systemctl", "systemd-sysusers"];
const CANNOT_INSTALL = NEEDED.some((program) => spawnSync(program, ["--version"]).status !== 0) || process.getuid?.() !== 0;
if (CANNOT_INSTALL) console.warn(`the unit is not installed: that needs root, ${NEEDED.join(", ")}`);

interface Installing {
  readonly PATH?: string;
  readonly uid?: number;
  readonly script?: string;
}

function install(args: readonly string[], { PATH = process.env.PATH ?? "", script = INSTALL, ...as }: Installing = {}) {
  const env = { PATH, HOME: process.env.HOME ?? "" };
  const { status, stdout, stderr } = spawnSync("sh", [script, ...args], { env, encoding: "utf8", ...as });
  return { status, output: stdout + stderr };
}

/** A directory with an `npm` that does this instead. */
function npmThat(does: string): string {
  const directory = ownDirectory();
  writeFileSync(join(directory, "npm"), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  return `${directory}:${process.env.PATH}`;
}

/** As the image's own `npm ci`, whose packages it gives: where that would find all it needs it would bring the same ones. */
const NPM_AS_IN_IMAGE = `case "npm $*" in "${of(build, "RUN").find(({ text }) => text.startsWith("npm ci "))?.text}"*) ;; *) exit 2 ;; esac
cmp package-lock.json ${app}/package-lock.json && cmp src/threads/package.json ${app}/src/threads/package.json || exit 3
exec cp -al ${app}/node_modules .`;

describe.skipIf(CANNOT_INSTALL)("deploy/systemd/install.sh", () => {
  test("says what it does, and what is wrong with how it was called", () => {
    // The project may be where nobody else can read it.
    const script = join(ownDirectory(), "install.sh");
    copyFileSync(INSTALL, script);
    expect(install(["--help"])).toEqual({ status: 0, output: expect.stringContaining("/etc/order-pipeline/admin-keys") });
    for (const [args, as, fault] of [
      [["--roof"], {}, "unknown option --roof"],
      [["--root"], {}, "--root needs a directory"],
      [["--root", "/no/such"], {}, "/no/such is not a directory"],
      [["--root", tmpdir()], { uid: 65_534, script }, "must be run as root"],
    ] as const) {
      expect(install(args, as)).toEqual({
        status: 1,
        output: `install.sh: ${fault}${fault.startsWith("unknown") ? "; --help has all" : ""}\n`,
      });
    }
  });

  test("makes of an empty root all that the unit names, runs again, and leaves what stands where it fails", async () => {
    const root = ownDirectory();
    // A copy of the project that nobody else may read.
    const project = ownDirectory();
    for (const path of ["package.json", "package-lock.json", "LICENSE", "README.md", "src", "workers", "deploy"])
      cpSync(new URL(path, PROJECT), join(project, path), { recursive: true });
    run("chmod -R go= .", project, {});
    const script = join(project, "deploy/systemd/install.sh");
    const PATH = npmThat(NPM_AS_IN_IMAGE);
    const first = install(["--root", root], { PATH, script });
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
    expect(readFileSync(at("etc/systemd/system/order-pipeline.service"), "utf8")).toBe(UNIT);
    expect(lstatSync(at("etc/systemd/system/multi-user.target.wants/order-pipeline.service")).isSymbolicLink()).toBe(true);

    // As the unit starts it.
    const directories = { "%S": at("var/lib"), "%C": at("var/cache") };
    for (const name of [...valuesOf("StateDirectory"), ...valuesOf("CacheDirectory")]) {
      for (const parent of Object.values(directories)) {
        mkdirSync(join(parent, name), { recursive: true });
        chownSync(join(parent, name), uid, gid);
      }
    }
    const settings = valuesOf("Environment").map((pair) => {
      const [name = "", value = ""] = pair.split("=");
      return [name, value.replace(/%[SC]/, (directory) => directories[directory as "%S"]).replace(/^\/etc/, at("etc"))];
    });
    const [program = "", ...args] = valuesOf("ExecStart");
    const key = readFileSync(at("etc/order-pipeline/admin-keys"), "utf8").trim();
    expect(key).toMatch(/^[0-9a-f]{48}$/);
    {
      await using server = new ChildServer(Object.fromEntries(settings), [at(program), ...args], { cwd: at(INSTALLED), uid, gid });
      const { port, adminPort } = await server.ports();
      expect((await send(port, { path: "/readyz" })).status).toBe(200);
      expect((await send(adminPort, { path: "/debug/threads" })).status).toBe(401);
      // The second is a file, to which the live page leads.
      for (const path of ["/debug/threads", "/readme"]) {
        const { status } = await send(adminPort, { path, headers: { authorization: `Bearer ${key}` } });
        expect([path, status]).toEqual([path, 200]);
      }
    }

    // An upgrade: what the old version had and the new one has not is gone, what an operator wrote is kept.
    writeFileSync(at(`${INSTALLED}/src/of-the-old-version.ts`), "");
    writeFileSync(at("etc/order-pipeline/settings"), "LOG_LEVEL=warn\n");
    const program1 = statSync(at(INSTALLED)).ino;
    const failed = install(["--root", root], { PATH: npmThat("exit 1"), script });
    expect([failed.status, failed.output.includes("npm ci failed; nothing was changed")]).toEqual([1, true]);
    expect([statSync(at(INSTALLED)).ino, existsSync(at(`${INSTALLED}/src/of-the-old-version.ts`))]).toEqual([program1, true]);
    // So is what an upgrade that was cut off had put aside: it is the only version then.
    renameSync(at(INSTALLED), at(`${INSTALLED}.old`));
    expect(install(["--root", root], { PATH: npmThat("exit 1"), script }).output).toContain("nothing was changed");
    expect(statSync(at(`${INSTALLED}.old`), { throwIfNoEntry: false })?.ino).toBe(program1);
    const again = install(["--root", root], { PATH, script });
    expect([again.status, again.status === 0 ? "" : again.output]).toEqual([0, ""]);
    expect([existsSync(at(`${INSTALLED}/src/main.ts`)), existsSync(at(`${INSTALLED}/src/of-the-old-version.ts`))]).toEqual([true, false]);
    expect(readdirSync(at("opt"))).toEqual(["order-pipeline"]);
    expect(readFileSync(at("etc/order-pipeline/settings"), "utf8")).toBe("LOG_LEVEL=warn\n");
    expect(readFileSync(at("etc/order-pipeline/admin-keys"), "utf8")).toBe(`${key}\n`);
  });
});
