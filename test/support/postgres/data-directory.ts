import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { cert, key } from "../../resilience/certificate.ts";
import { ACCOUNT, AS_SERVER } from "./account.ts";
import { type Binaries, giveToServer } from "./binaries.ts";

/** The superuser, its password where one is asked for, and the database that every server has. */
export const SUPERUSER = "orders";
export const PASSWORD = "a-password-of-tests";
export const DATABASE = "orders";

// With this file in the name: what it makes may change.
const RECIPE = createHash("sha256")
  .update(readFileSync(import.meta.filename))
  .digest("hex")
  .slice(0, 8);
const TEMPLATES = resolve(import.meta.dirname, "../../../node_modules/.cache/postgres");
const run = promisify(execFile);

/** Makes a data directory: a copy of one that is made once for each version and account, which takes a second. */
export async function copyTemplate(binaries: Binaries, scratch: string, to: string): Promise<void> {
  const account = ACCOUNT?.uid ?? process.getuid?.();
  const template = join(TEMPLATES, `${binaries.name.replace(/[^\w.]+/g, "-")}-as-${account}-${RECIPE}`);
  if (!existsSync(template)) await makeTemplate(binaries, scratch, template);
  await copyDirectory(template, to);
}

/** Owners and rights stay. */
async function copyDirectory(from: string, to: string): Promise<void> {
  await run("cp", ["-Rp", from, to]);
}

/** Several tests may make it at one time, in one worker too: each makes its own aside, and the first one's stays. */
async function makeTemplate(binaries: Binaries, scratch: string, template: string): Promise<void> {
  const made = join(scratch, "template");
  const aside = `${template}.${randomUUID()}`;
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
async function initialize(binaries: Binaries, scratch: string, to: string): Promise<void> {
  const passwordFile = join(scratch, "password");
  await writeFile(passwordFile, PASSWORD, { mode: 0o644 });
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
  const access = ["--username", SUPERUSER, "--pwfile", passwordFile, "--auth=trust"];
  await run(join(binaries.directory, "initdb"), ["--pgdata", to, ...access, ...locale, "--no-sync", "--no-instructions"], AS_SERVER);
  const naming = run(join(binaries.directory, "postgres"), ["--single", "-D", to, "template1"], AS_SERVER);
  // Not a further one: each is a sixth of what is copied for every server.
  naming.child.stdin?.end(`ALTER DATABASE postgres RENAME TO ${DATABASE};\n`);
  await naming;
  await rm(passwordFile);
}

/** Who is let in, to the databases and for replication, and the server's certificate where that is with TLS only. */
export async function writeAccess(dataDirectory: string, auth: "trust" | "password", tls: boolean): Promise<void> {
  const lines = ["all", "replication"].map(
    (database) => `${tls ? "hostssl" : "host"} ${database} all 127.0.0.1/32 ${auth === "trust" ? "trust" : "scram-sha-256"}\n`,
  );
  await writeFile(join(dataDirectory, "pg_hba.conf"), lines.join(""));
  if (!tls) return;
  for (const [name, text] of Object.entries({ "server.crt": cert, "server.key": key })) {
    const path = join(dataDirectory, name);
    await writeFile(path, text, { mode: 0o600 });
    giveToServer(path);
  }
}
