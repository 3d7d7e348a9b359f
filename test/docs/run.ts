import { spawn } from "node:child_process";
import { PROJECT, SCRIPTS } from "./pages.ts";

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

/** Scripts that run a file of this project and give it no arguments; the others run programs, or one of these, with options. */
export const ours = Object.keys(SCRIPTS).filter((name) => /\bnode \S+\.[tj]s$/.test(SCRIPTS[name] ?? ""));

/** What is wrong with a script's answer to --help. Without npm, which would double the time. */
export async function helpFaultOf(name: string): Promise<string | undefined> {
  const [file = "", ...others] = entryPoints(SCRIPTS[name] ?? "");
  // One that does not know --help starts its work, which may take minutes.
  const { code, stdout, stderr } = await run(process.execPath, [file, "--help"], { timeoutMs: 60_000 });
  const usage = name === "start" ? "usage: npm start" : `usage: npm run ${name}`;
  const isFine = others.length === 0 && code === 0 && stderr === "" && stdout.includes(usage);
  return isFine ? undefined : `${name}: ${code} ${stdout}${stderr}`;
}
