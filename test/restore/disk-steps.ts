import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Builds the library in a directory, which outlives the processes that use it. Returns its path. */
export function buildDiskSteps(directory: string): string {
  const library = join(directory, "disk-steps.so");
  const source = join(import.meta.dirname, "disk-steps.c");
  const compiled = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], { encoding: "utf8" });
  if (compiled.status !== 0) throw new Error(compiled.stderr);
  return library;
}

export interface StepsTaken {
  /** Each as `NAME PATH`, the path after the directory. */
  readonly steps: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
  /** SIGKILL where it was killed at the step. */
  readonly signal: NodeJS.Signals | null;
}

/** Runs a child script and tells the steps by which it changed files under a directory. `killAt`: the number of the step that it does not live to take. */
export function diskStepsOf(library: string, directory: string, script: readonly string[], killAt?: number): StepsTaken {
  const notes = `${directory}.steps`;
  rmSync(notes, { force: true });
  const settings = { LD_PRELOAD: library, DISK_STEPS: notes, DISK_STEPS_UNDER: directory };
  const env = { ...process.env, ...settings, ...(killAt !== undefined && { DISK_STEPS_KILL_AT: String(killAt) }) };
  const { stdout, stderr, signal } = spawnSync(process.execPath, script, { encoding: "utf8", env });
  const steps = existsSync(notes) ? readFileSync(notes, "utf8").split("\n").slice(0, -1) : [];
  return { steps, stdout, stderr, signal };
}
