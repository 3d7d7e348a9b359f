import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The ways in which it fails; `failing-disk.c` says what each of them does. */
export type DiskFault = "sync-log" | "sync-database" | "full-log" | "full-database" | "sync-copy" | "full-copy";

/** Why there can be no failing disk here; undefined where there can. */
export const WITHOUT_FAILING_DISK: string | undefined =
  process.platform !== "linux"
    ? "only on Linux can a library be put before the disk"
    : spawnSync("cc", ["--version"]).status !== 0
      ? "there is no C compiler (cc)"
      : undefined;

/** Builds the library in a directory, which outlives the processes that use it. Returns its path. */
export function buildFailingDisk(directory: string): string {
  const library = join(directory, "failing-disk.so");
  const source = join(import.meta.dirname, "failing-disk.c");
  const compiled = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], { encoding: "utf8" });
  if (compiled.status !== 0) throw new Error(compiled.stderr);
  return library;
}

/** The disk under the journal of a process that is started with `settings`: it fails when told to, as a real one does. */
export class FailingDisk {
  readonly settings: Readonly<Record<string, string>>;
  readonly #directory: string;

  /** `directory` is made for it; `library` is what `buildFailingDisk` gave. */
  constructor(library: string, directory: string) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.settings = { LD_PRELOAD: library, FAILING_DISK: directory };
  }

  fail(fault: DiskFault): void {
    writeFileSync(join(this.#directory, fault), "");
  }

  mend(fault: DiskFault): void {
    rmSync(join(this.#directory, fault));
  }

  /** Whether the process has met it. */
  hasFailed(fault: DiskFault): boolean {
    return existsSync(join(this.#directory, `seen-${fault}`));
  }
}
