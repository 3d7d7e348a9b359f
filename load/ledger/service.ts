import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SERVICE_UP } from "../server-process.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const LOOK_EVERY_MS = 5;
// A journal that another connection has locked, or a busy machine; longer means that it never comes up.
const START_LIMIT_MS = 60_000;
const SHOWN_LINES = 15;
/** It may not open its journal while another connection writes. */
const LOCKED = "another process has it open";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Where something of the service listens now; undefined while it is down. */
export interface Reachable {
  readonly ports: { readonly api: number; readonly admin: number } | undefined;
}

export interface ServiceOptions {
  readonly directory: string;
  /** What its logs are called after, where several services write theirs into the directory. */
  readonly name?: string;
  /** Its environment. */
  readonly settings: Readonly<Record<string, string>>;
  /** It ended without having been told to. */
  readonly onOwnEnd: (exit: Exit, lastLines: string) => void;
}

/** The service in one process after another, all on the same journal. Each writes a log of its own. */
export class Service implements Reachable {
  readonly #options: ServiceOptions;
  #process: ChildProcess | undefined;
  #exited: Promise<Exit> | undefined;
  #wanted = false;
  #ports: Reachable["ports"];
  #generation = 0;

  constructor(options: ServiceOptions) {
    this.#options = options;
    // However this process ends, none is left behind.
    process.once("exit", () => this.#process?.kill("SIGKILL"));
  }

  get ports(): Reachable["ports"] {
    return this.#ports;
  }

  /** How many processes there have been. */
  get generation(): number {
    return this.#generation;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts it and waits until it listens. Repeats that while its journal is locked. Throws what it printed when it does not come up. */
  async start(): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    for (;;) {
      const failure = await this.#startOnce(endMs);
      if (failure === undefined) return;
      if (!failure.includes(LOCKED) || performance.now() > endMs) throw new Error(`the service does not start: ${failure}`);
    }
  }

  /** At once, in this very turn of the event loop. `ended` follows. Does nothing to one that is down. */
  signal(name: NodeJS.Signals): void {
    if (this.#process === undefined) return;
    this.#wanted = false;
    // One that drains still answers.
    if (name === "SIGKILL") this.#ports = undefined;
    this.#process.kill(name);
  }

  /** It may end by itself from now on, because its disk fails. */
  expectEnd(): void {
    this.#wanted = false;
  }

  /** Resolves when the process has ended; undefined where there is none. */
  async ended(): Promise<Exit | undefined> {
    return await this.#exited;
  }

  async #startOnce(endMs: number): Promise<string | undefined> {
    const { directory, name, settings, onOwnEnd } = this.#options;
    this.#generation++;
    const file = join(directory, `service-${name === undefined ? "" : `${name}-`}${String(this.#generation).padStart(4, "0")}.log`);
    const log = openSync(file, "w");
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, ["src/start.js"], {
      cwd: PROJECT,
      env: { PATH, HOME, PORT: "0", ADMIN_PORT: "0", ...settings },
      stdio: ["ignore", log, log],
      // Ctrl-C reaches this process alone, which then ends both.
      detached: true,
    });
    closeSync(log);
    this.#process = child;
    this.#wanted = true;
    let exit: Exit | undefined;
    this.#exited = new Promise((resolve) => {
      child.once("error", () => resolve({ code: -1, signal: null }));
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    const { promise: up, resolve: isUp } = Promise.withResolvers<boolean>();
    void this.#exited.then((seen) => {
      exit = seen;
      if (this.#process !== child) return;
      this.#process = undefined;
      this.#ports = undefined;
      void up.then((wasUp) => wasUp && this.#wanted && onOwnEnd(seen, lastLinesOf(file)));
    });
    while (exit === undefined && performance.now() < endMs) {
      const [, api, admin] = SERVICE_UP.exec(readFileSync(file, "utf8")) ?? [];
      if (api !== undefined && admin !== undefined) {
        this.#ports = { api: Number(api), admin: Number(admin) };
        isUp(true);
        return undefined;
      }
      await pause(LOOK_EVERY_MS);
    }
    isUp(false);
    if (exit === undefined) child.kill("SIGKILL");
    await this.#exited;
    return lastLinesOf(file);
  }
}

function lastLinesOf(file: string): string {
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
}
