import { existsSync, mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Binaries, binariesOf, giveToServer, type PostgresVersion } from "./binaries.ts";
import { Keeper } from "./keeper.ts";

/** Where a server lives: its data is to be made by whoever starts it. */
export interface Place {
  /** A directory that the servers' account can write to. */
  readonly scratch: string;
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly keeper: Keeper;
}

const IN_MEMORY = "/dev/shm";
// For a run's servers and their logs of writes; containers may have 64 MB there, for other things.
const ROOM_IN_MEMORY_BYTES = 4 * 2 ** 30;

/**
 * A place of its own, which is deleted at the latest when this process has ended. The data is in memory where there is room, unless it is to be
 * on disk: to copy a template of 900 files there takes a third of the time, and a busy disk makes no test wait.
 */
export function newPlace(version: PostgresVersion, isOnDisk: boolean): Place {
  const newIn = (home: string): string => mkdtempSync(join(home, "order-pipeline-postgres-"));
  const scratch = newIn(tmpdir());
  const data = newIn(isOnDisk ? tmpdir() : roomyHome());
  giveToServer(scratch);
  giveToServer(data);
  const dataDirectory = join(data, "data");
  const keeper = new Keeper(dataDirectory, [scratch, data]);
  return { scratch, dataDirectory, binaries: binariesOf(version, scratch), keeper };
}

function roomyHome(): string {
  if (!existsSync(IN_MEMORY)) return tmpdir();
  const { bavail, bsize } = statfsSync(IN_MEMORY);
  return bavail * bsize > ROOM_IN_MEMORY_BYTES ? IN_MEMORY : tmpdir();
}
