import { spawn } from "node:child_process";
import { PROJECT } from "./pages.ts";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** It is ended after that; unlimited when absent. */
  readonly timeoutMs?: number;
}

/**
 * Runs a program to its end, by default in the project's folder. Of the environment it sees what a command
 * needs to be found and to start fast, and `env`.
 */
export function run(program: string, args: readonly string[], { cwd = PROJECT, env = {}, timeoutMs }: RunOptions = {}): Promise<Ran> {
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE = "" } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { PATH, HOME, NODE_COMPILE_CACHE, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** The files that a script of package.json has Node run. */
export function entryPoints(script: string): string[] {
  return [...script.matchAll(/\bnode (\S+\.[tj]s)/g)].map(([, file = ""]) => file);
}
