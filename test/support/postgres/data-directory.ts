import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { ACCOUNT, AS_SERVER } from "./account.ts";
import type { Binaries } from "./binaries.ts";

/** The superuser, its password where one is asked for, and the database that every server has. */
export const SUPERUSER = "orders";
export const PASSWORD = "a-password-of-tests";
export const DATABASE = "orders";

const TEMPLATES = resolve(import.meta.dirname, "../../../node_modules/.cache/postgres");
const run = promisify(execFile);

/** Makes a data directory: a copy of one that is made once for each version and account, which takes a second. */
export async function copyTemplate(binaries: Binaries, scratch: string, to: string): Promise<void> {
  const template = join(TEMPLATES, `${binaries.name.replace(/[^\w.]+/g, "-")}-as-${ACCOUNT?.uid ?? process.getuid?.()}`);
  if (!existsSync(template)) await makeTemplate(binaries, scratch, template);
  await copyDirectory(template, to);
}

/** Owners and rights stay. */
export async function copyDirectory(from: string, to: string): Promise<void> {
  await run("cp", ["-Rp", from, to]);
}

/** Several workers may make it at one time: each makes its own aside, and the first one's stays. */
async function makeTemplate(binaries: Binaries, scratch: string, template: string): Promise<void> {
  const made = join(scratch, "template");
  const aside = `${template}.${process.pid}`;
  await initialize(binaries, scratch, made);
  await mkdir(TEMPLATES, { recursive: true });
  await copyDirectory(made, aside);
  await rename(aside, template).catch(async (error) => {
    await rm(aside, { recursive: true });
    if (!existsSync(template)) throw error;
  });
  await rm(made, { recursive: true });
}

/** Makes a data directory from nothing, with a system identifier of its own. */
export async function initialize(binaries: Binaries, scratch: string, to: string): Promise<void> {
  const passwordFile = join(scratch, "password");
  await writeFile(passwordFile, PASSWORD, { mode: 0o644 });
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
  const access = ["--username", SUPERUSER, "--pwfile", passwordFile, "--auth=trust"];
  await run(join(binaries.directory, "initdb"), ["--pgdata", to, ...access, ...locale, "--no-sync", "--no-instructions"], AS_SERVER);
  const creating = run(join(binaries.directory, "postgres"), ["--single", "-D", to, "postgres"], AS_SERVER);
  creating.child.stdin?.end(`CREATE DATABASE ${DATABASE};\n`);
  await creating;
  await rm(passwordFile);
}
