import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { CopiedProject } from "../support/copied-project.ts";
import type { DrawnFault } from "./faults.ts";

const REPORT = "mutant-report.json";
// From the second fault on, the compiler looks only at what the changed file can change.
const BUILD_INFO = "mutant.tsbuildinfo";
// Longer than any file of tests takes on a busy machine. What hangs longer has been found.
const LONGEST_MS = 15 * 60_000;

/** Which test failed first. */
export interface FailedTest {
  readonly file: string;
  readonly name: string;
}

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly fullName: string }>;
  }>;
}

/** A copy of the project into which one small fault at a time is put. */
export class ProjectWithFault extends CopiedProject {
  #child: ChildProcess | undefined;
  #healthy: { readonly file: string; readonly text: string } | undefined;

  constructor() {
    super("mutants");
  }

  /** Puts a fault in. The one before goes. */
  put({ file, start, end, text: by }: DrawnFault): void {
    this.heal();
    const text = this.read(file);
    this.#healthy = { file, text };
    this.write(file, text.slice(0, start) + by + text.slice(end));
  }

  /** Takes the fault out. */
  heal(): void {
    if (this.#healthy !== undefined) this.write(this.#healthy.file, this.#healthy.text);
    this.#healthy = undefined;
  }

  /** Whether the compiler takes it as it is now. */
  async compiles(): Promise<boolean> {
    return (await this.#run(["node_modules/typescript/bin/tsc", "--noEmit", "--incremental", "--tsBuildInfoFile", BUILD_INFO])) === 0;
  }

  /** Runs files of tests until one fails. Undefined: none did. */
  async firstFailure(tests: readonly string[]): Promise<FailedTest | undefined> {
    const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts", "--bail=1"];
    const code = await this.#run([...vitest, "--reporter=json", `--outputFile=${REPORT}`, ...tests]);
    return code === 0 ? undefined : this.#failure();
  }

  override [Symbol.dispose](): void {
    this.#endAll();
    super[Symbol.dispose]();
  }

  #failure(): FailedTest {
    const path = join(this.directory, REPORT);
    try {
      const { testResults } = JSON.parse(readFileSync(path, "utf8")) as Report;
      // Files that were broken off because another failed count as failed too.
      for (const { name, assertionResults } of testResults) {
        const test = assertionResults.find(({ status }) => status === "failed");
        if (test !== undefined) return { file: relative(this.directory, name), name: test.fullName };
      }
      const file = testResults.find(({ status, message }) => status === "failed" && message !== "")?.name;
      return { file: file === undefined ? "" : relative(this.directory, file), name: "an error outside of any test" };
    } catch {
      return { file: "", name: "the tests told nothing: they ended, or hung" };
    } finally {
      rmSync(path, { force: true });
    }
  }

  async #run(args: readonly string[]): Promise<number | null> {
    const child = spawn(process.execPath, args, { cwd: this.directory, stdio: "ignore", timeout: LONGEST_MS, detached: true });
    this.#child = child;
    const [code] = (await once(child, "exit")) as [number | null];
    this.#endAll();
    return code;
  }

  /** A test that is broken off leaves the processes behind that it has started. They are in the group of the child. */
  #endAll(): void {
    const pid = this.#child?.pid;
    this.#child = undefined;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
