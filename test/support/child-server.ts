import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually } from "./eventually.ts";

// A grandchild may hold the pipes of a server that has ended, so that its `close` comes late or never.
const LAST_WORDS_MS = 1_000;
// A stack and what led to it.
const SHOWN_LINES = 20;

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** Where and as whom it runs, where that is not here and as the caller. */
export interface Place {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The server as a process of its own, in a process group of its own that `await using` leaves nothing of. */
export class ChildServer implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  #stdout = "";
  #stderr = "";

  /** `command` stands for what `npm start` runs. Of the environment it sees only `settings` and what a command needs to be found. */
  constructor(
    settings: Readonly<Record<string, string>> = {},
    command: readonly string[] = [process.execPath, "src/start.js"],
    place: Place = {},
  ) {
    const { PATH = "", HOME = "" } = process.env;
    const [file = "", ...args] = command;
    this.process = spawn(file, args, {
      cwd: PROJECT,
      env: { PATH, HOME, PORT: "0", ADMIN_PORT: "0", JOURNAL: "memory", ...settings },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...place,
    });
    this.process.stdout?.setEncoding("utf8").on("data", (text) => (this.#stdout += text));
    this.process.stderr?.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
    // `close`, not `exit`: by then everything it wrote has been read.
    this.exited = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      this.process.once("close", (code, signal) => resolve({ code, signal }));
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The lines of its log so far. */
  get logged(): readonly { readonly level: number; readonly msg: string }[] {
    const lines = this.#stdout.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Waits for the line that says it is up and returns the ports it names. Throws if the server ended before. */
  async ports(): Promise<{ port: number; adminPort: number }> {
    const text = await eventually(
      "the line that says it is up",
      () => this.#stdout + this.#stderr,
      (seen) => / is up.*\n/.test(seen) || this.#gone,
    );
    const port = /"api":"http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    const adminPort = /"admin":"http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port === undefined || adminPort === undefined) throw new Error(await this.#whyNoPorts());
    return { port: Number(port), adminPort: Number(adminPort) };
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  async #whyNoPorts(): Promise<string> {
    if (!this.#gone) return `the server named no ports: ${this.#stdout}`;
    await Promise.race([this.exited, pause(LAST_WORDS_MS)]);
    const { exitCode, signalCode } = this.process;
    // Log lines go to stdout, so a server that says nothing on stderr may say there why it ended.
    const output = this.#stderr === "" ? "stdout" : "stderr";
    const lines = this[output].trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
    const how = signalCode ?? `exit code ${exitCode}`;
    return `the server ended before it listened, with ${how}; ${output}: ${lines}`;
  }

  get #gone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // The whole group has ended.
    }
    await this.exited;
  }
}
