import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../eventually.ts";
import { AS_SERVER } from "./account.ts";
import { PASSWORD, SUPERUSER } from "./data-directory.ts";
import { newPlace } from "./place.ts";
import { type PostgresServer, startSomewhere } from "./server.ts";

export interface StandbyOptions {
  /** Its name among the primary's standbys. */
  readonly name?: string;
  /** Whether the primary's commits wait for it, from now on; by default they do. */
  readonly synchronous?: boolean;
}

/**
 * Starts a server that follows `primary`, one of Debian's. Resolves when it does, so with `synchronous` every later commit is on both.
 * `promote()` makes it a primary.
 */
export async function startStandby(primary: PostgresServer, options: StandbyOptions = {}): Promise<PostgresServer> {
  const { name = "standby", synchronous = true } = options;
  const place = newPlace("debian", primary.settings.fsync === "on");
  try {
    await backUp(primary, name, place.dataDirectory);
    // What it may hold must not be less than what the primary may.
    const standby = await startSomewhere(place, primary.settings);
    try {
      if (synchronous) await primary.setUp("synchronous_standby_names", `"${name}"`);
      const state = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'";
      const followed = (rows: readonly { sync_state: string }[]) => rows.some((row) => row.sync_state === (synchronous ? "sync" : "async"));
      await eventually(`${name} follows`, () => primary.query<{ sync_state: string }>(state, [name]), followed);
      return standby;
    } catch (error) {
      await standby[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    await place.keeper.end();
    throw error;
  }
}

async function backUp(primary: PostgresServer, name: string, to: string): Promise<void> {
  const from = `host=127.0.0.1 port=${primary.port} user=${SUPERUSER} password=${PASSWORD} application_name=${name}`;
  const how = ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"];
  await promisify(execFile)(join(primary.binaries.directory, "pg_basebackup"), ["-d", from, "-D", to, ...how], AS_SERVER);
}
