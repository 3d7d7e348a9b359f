import { type ChildProcess, spawn } from "node:child_process";

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const KEPT_OUTPUT = 4_000;

const living = new Set<ChildProcess>();
// Children end with this process, also after an uncaught error.
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

export interface ChildOptions {
  /** Absolute paths: a program, Node itself unless another is named, and its arguments, a script for Node first. */
  readonly program?: string;
  readonly args: readonly string[];
  /** The whole environment: the variables of the caller must not change a benchmark. */
  readonly env: Readonly<Record<string, string>>;
  /** What the script prints once it is up. */
  readonly up: RegExp;
}

/** A child process that is up. `await using` kills it at the end of the block. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  /** The groups of the `up` pattern. */
  readonly groups: readonly string[];
  readonly #process: ChildProcess;
  readonly #printed: () => string;
  readonly #ended: Promise<string>;

  private constructor(child: ChildProcess, pid: number, groups: readonly string[], ended: Promise<string>, printed: () => string) {
    this.#printed = printed;
    this.#process = child;
    this.pid = pid;
    this.groups = groups;
    this.#ended = ended;
  }

  /** Resolves when the child is up. Throws, with what the child printed, when it ends or stays silent instead. */
  static async start({ program = process.execPath, args, env, up }: ChildOptions): Promise<Child> {
    const child = spawn(program, args, {
      env: { ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C reaches this process alone: the child must live until this process has looked for leaks.
      detached: true,
      windowsHide: true,
    });
    living.add(child);
    let output = "";
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => {
        living.delete(child);
        resolve(code === null ? `signal ${signal}` : `code ${code}`);
      });
    });
    const found = new Promise<RegExpExecArray>((resolve) => {
      const read = (chunk: string): void => {
        output = (output + chunk).slice(-KEPT_OUTPUT);
        const match = up.exec(output);
        if (match !== null) resolve(match);
      };
      child.stdout?.setEncoding("utf8").on("data", read);
      child.stderr?.setEncoding("utf8").on("data", read);
    });
    const timer = Promise.withResolvers<"silent">();
    const timeout = setTimeout(() => timer.resolve("silent"), START_TIMEOUT_MS);
    const first = await Promise.race([found, ended, timer.promise]);
    clearTimeout(timeout);
    if (typeof first === "string" || child.pid === undefined) {
      child.kill("SIGKILL");
      throw new Error(`${[program, ...args].join(" ")} did not come up (${first}):\n${output}`);
    }
    return new Child(child, child.pid, first.slice(1), ended, () => output);
  }

  /** The last of what it printed. */
  get output(): string {
    return this.#printed();
  }

  /** How the process ended, whenever it does: "code 0", "signal SIGKILL". */
  get ended(): Promise<string> {
    return this.#ended;
  }

  /** Sends SIGTERM and says how the process ended: "code 0" when all is well. Kills it when it does not end in time. */
  async stop(): Promise<string> {
    this.#process.kill("SIGTERM");
    const timeout = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const ended = await this.#ended;
    clearTimeout(timeout);
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}
