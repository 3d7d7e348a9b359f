import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../load/long-run/plain-provider.ts";
import { ChildServer } from "../support/child-server.ts";
import { postOrder, send } from "../support/http-client.ts";
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

// The Dockerfile's own steps, but for Debian's packages, in a clean directory.
test.skipIf(process.platform !== "linux")("what the Dockerfile makes starts, serves, is healthy, and ends at SIGTERM", async () => {
  const directory = mkdtempSync(join(tmpdir(), "image-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  // For the user that the image runs as.
  chmodSync(directory, 0o755);
  const app = join(directory, "app");
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
  const isHealthyAt = (at: object) =>
    spawnSync(join(app, check), checkArgs, { cwd: app, env: { ADMIN_PORT: adminPort, ...at }, ...runtimeUser }).status === 0;
  const isHealthy = () => isHealthyAt({});
  await using server = new ChildServer(env, [join(app, file), ...args], { cwd: app, ...runtimeUser });
  const { port: listening } = await server.ports();
  expect(listening).toBe(Number(port));
  expect([isHealthy(), isHealthyAt({ ADMIN_HOST: "0.0.0.0" }), isHealthyAt({ ADMIN_PORT: "1" })]).toEqual([true, true, false]);
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
