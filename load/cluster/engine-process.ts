import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePorts } from "./free-ports.ts";

const LOOK_EVERY_MS = 50;
// A cluster that recovers on one busy core takes tens of seconds, so this is for what is broken.
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const KEPT_OUTPUT = 4_000;

const living = new Set<ChildProcess>();
// The engines end with this process; after SIGKILL by `killWithParent`.
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** `restate-server` or `restatectl` of the locked packages: the program itself, not the Node wrapper around it, so that its pid is ours. */
export function enginePath(program: "restate-server" | "restatectl"): string {
  const manifest = createRequire(import.meta.url).resolve(`@restatedev/${program}-${platform()}-${arch()}/package.json`);
  return join(dirname(manifest), "bin", program);
}

export interface EngineOptions {
  /** Its data lies here and stays here; the caller removes it. */
  readonly directory: string;
  /** Unique in its cluster. */
  readonly name?: string;
  /** How many parts the keys are spread over; each has its own log. Only the first start reads it. */
  readonly partitions?: number;
  /** Further settings in the engine's own words: `RESTATE_...`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** One process of the engine on free ports of 127.0.0.1. A restart has the same ports and the same data. */
export class EngineProcess implements AsyncDisposable {
  readonly name: string;
  /** Where other nodes and `restatectl` reach it. */
  readonly nodeUrl: string;
  readonly ingressUrl: string;
  readonly adminUrl: string;
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";

  private constructor(options: EngineOptions, [nodePort, ingressPort, adminPort]: number[]) {
    this.name = options.name ?? "engine";
    this.nodeUrl = `http://127.0.0.1:${nodePort}/`;
    this.ingressUrl = `http://127.0.0.1:${ingressPort}`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
    this.#environment = {
      RESTATE_DISABLE_TELEMETRY: "true",
      // At each start the engine asks for its newest release, which no setting prevents. The filter hides the failure of that.
      RESTATE_LOG_FILTER: "warn,octocrab=off",
      RESTATE_LOG_DISABLE_ANSI_CODES: "true",
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_BASE_DIR: options.directory,
      RESTATE_NODE_NAME: this.name,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${nodePort}`,
      RESTATE_ADVERTISED_ADDRESS: this.nodeUrl,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingressPort}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${adminPort}`,
      // The default, 24, is for machines with many cores: each costs threads, files and appends of its own.
      RESTATE_DEFAULT_NUM_PARTITIONS: String(options.partitions ?? 4),
      RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE: "512 MiB",
      ...options.settings,
    };
  }

  /** Not started yet: in a cluster each one's settings name the others. */
  static async prepare(options: EngineOptions): Promise<EngineProcess> {
    return new EngineProcess(options, await freePorts(3));
  }

  /** Resolves when it answers. */
  static async start(options: EngineOptions): Promise<EngineProcess> {
    const engine = await EngineProcess.prepare(options);
    await engine.start();
    return engine;
  }

  /** Undefined while it is down. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The last of what it printed. */
  get output(): string {
    return this.#output;
  }

  /** Starts it, again too, on the data that is there. Resolves when it takes calls. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.spawn(settings);
    await this.up();
  }

  /** Starts it without waiting for its answer: a node of a cluster that is not provisioned gives none. */
  spawn(settings: Readonly<Record<string, string>> = {}): void {
    if (this.#process !== undefined) throw new Error(`${this.name} runs already`);
    const child = spawn(enginePath("restate-server"), ["--no-logo"], {
      env: { ...this.#environment, ...settings },
      stdio: ["ignore", "pipe", "pipe"],
      // A Ctrl-C is for us to handle; the engine ends when we end it.
      detached: true,
    });
    living.add(child);
    const guard = killWithParent(child.pid);
    this.#process = child;
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    this.#ended = new Promise((resolve) => {
      const over = (): void => {
        living.delete(child);
        // Before its pid can be another's.
        guard?.kill("SIGKILL");
        this.#process = undefined;
        resolve();
      };
      child.once("error", (error) => {
        keep(error.message);
        over();
      });
      child.once("close", over);
    });
  }

  /** Resolves when it takes calls for every key. Throws, with what it printed, when it ends before, or does not come up. */
  async up(): Promise<void> {
    const end = performance.now() + START_TIMEOUT_MS;
    while (!((await answers(`${this.ingressUrl}/restate/health`)) && (await this.#hasPartitions()))) {
      if (this.#process === undefined) throw new Error(`${this.name} ended before it was up:\n${this.#output}`);
      if (performance.now() > end) throw new Error(`${this.name} did not come up:\n${this.#output}`);
      await pause(LOOK_EVERY_MS);
    }
  }

  /** Its listeners say that they are healthy before any part of the keys has a leader; a query over all parts says when they have. */
  #hasPartitions(): Promise<boolean> {
    const headers = { "content-type": "application/json", accept: "application/json" };
    return answers(`${this.adminUrl}/query`, { method: "POST", headers, body: '{"query":"SELECT count(*) FROM sys_invocation"}' });
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGTERM, and SIGKILL when that takes too long. */
  async stop(): Promise<void> {
    const child = this.#process;
    child?.kill("SIGTERM");
    const timeout = setTimeout(() => child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timeout);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** A shell that kills `pid` once this process is gone: its input, a pipe that only this process holds, ends then. */
function killWithParent(pid: number | undefined): ChildProcess | undefined {
  if (pid === undefined || platform() === "win32") return undefined;
  const guard = spawn("/bin/sh", ["-c", `read -r _; kill -9 ${pid}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  guard.on("error", () => {});
  guard.unref();
  (guard.stdin as unknown as Socket).unref();
  return guard;
}

async function answers(url: string, request: RequestInit = {}): Promise<boolean> {
  try {
    const response = await fetch(url, { ...request, signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
