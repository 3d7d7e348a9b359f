// Runs one of the folders beside it, in a process of its own, which the experiment `peers` forks: `run.ts PEER`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Three tasks ran side by side: one failed, one waited, one computed. */
export interface FirstFailure {
  /** The other two were at work when the third failed. */
  readonly began: boolean;
  /** The failure came out. */
  readonly failed: boolean;
  /** Soon after all had settled, none of them did anything more. */
  readonly stopped: boolean;
}

// A terminated thread has ended by then, and the event loop has turned.
const STOPPING_MS = 100;
const SILENT_MS = 200;

const directory = mkdtempSync(join(tmpdir(), "first-failure-"));
process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
process.once("disconnect", () => process.exit(1));
const file = join(directory, "alive");
writeFileSync(file, "");
// Before any thread starts: each gets a copy of the environment.
process.env.ALIVE_FILE = file;

const { firstFailure } = (await import(`./${process.argv[2]}/main.ts`)) as { readonly firstFailure: () => Promise<string> };
const message = await firstFailure();
await pause(STOPPING_MS);
const signs = readFileSync(file, "utf8");
await pause(SILENT_MS);
const answer: FirstFailure = {
  began: signs.includes("w") && signs.includes("c"),
  failed: message === "boom",
  stopped: readFileSync(file, "utf8").length === signs.length,
};
process.send?.(answer, () => process.exit(0));
