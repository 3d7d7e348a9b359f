import { fileURLToPath } from "node:url";
import { Child } from "./child-process.ts";

const SCRIPT = fileURLToPath(new URL("../src/main.ts", import.meta.url));
/** What the service prints once it is up: its two ports. Another checkout, to compare with, may still say it in lines for people. */
export const SERVICE_UP = /(?:"api":"|API\s+)http:\/\/127\.0\.0\.1:(\d+)[\s\S]*?(?:"admin":"|admin\s+)http:\/\/127\.0\.0\.1:(\d+)/;

/** The service in a process of its own, on free ports of 127.0.0.1. */
export class ServerProcess implements AsyncDisposable {
  readonly apiUrl: string;
  readonly orderUrl: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly #child: Child;

  private constructor(child: Child) {
    const [port, adminPort] = child.groups;
    this.#child = child;
    this.port = Number(port);
    this.apiUrl = `http://127.0.0.1:${port}`;
    this.orderUrl = `${this.apiUrl}/order`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
  }

  /**
   * `settings`: environment variables of the service, over those that every load run has. `script`: its `src/main.ts`, this checkout's
   * by default. `niceness`: of the process and all its threads, by the program `nice`; by default 0 (as this process).
   */
  static async start(settings: Readonly<Record<string, string>> = {}, script = SCRIPT, niceness = 0): Promise<ServerProcess> {
    const env = {
      HOST: "127.0.0.1",
      PORT: "0",
      ADMIN_HOST: "127.0.0.1",
      ADMIN_PORT: "0",
      JOURNAL: "memory",
      LOG_LEVEL: "warn",
      // All load comes from one address.
      MAX_CONNECTIONS_PER_ADDRESS: "off",
      ...settings,
    };
    if (niceness === 0) return new ServerProcess(await Child.start({ args: [script], env, up: SERVICE_UP }));
    const path = process.env.PATH ?? "";
    const args = ["-n", String(niceness), process.execPath, script];
    return new ServerProcess(await Child.start({ program: "nice", args, env: { PATH: path, ...env }, up: SERVICE_UP }));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The last of what it printed. */
  get output(): string {
    return this.#child.output;
  }

  /** How it ended, whenever it does. */
  get ended(): Promise<string> {
    return this.#child.ended;
  }

  /** Has it drain by SIGTERM. Gives "code 0" when all is well. */
  stop(): Promise<string> {
    return this.#child.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]();
  }
}
