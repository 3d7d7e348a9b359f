import { ServerProcess } from "../server-process.ts";
import { freePorts } from "./free-ports.ts";

/** One node of the service in a process of its own. Started again it has the same ports. */
export class ServiceNode implements AsyncDisposable {
  readonly name: string;
  /** Where the engine calls it. */
  readonly endpointUrl: string;
  readonly orderUrl: string;
  readonly adminUrl: string;
  readonly #settings: Readonly<Record<string, string>>;
  #server: ServerProcess | undefined;

  private constructor(name: string, ports: number[], settings: Readonly<Record<string, string>>) {
    const [port, adminPort, endpointPort] = ports;
    this.name = name;
    this.endpointUrl = `http://127.0.0.1:${endpointPort}`;
    this.orderUrl = `http://127.0.0.1:${port}/order`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
    this.#settings = {
      ...settings,
      ENGINE: "restate",
      RESTATE_NODE_NAME: name,
      RESTATE_ENDPOINT_PORT: String(endpointPort),
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
      JOURNAL: "",
    };
  }

  /** Resolves when it listens. */
  static async start(name: string, settings: Readonly<Record<string, string>>): Promise<ServiceNode> {
    const node = new ServiceNode(name, await freePorts(3), settings);
    await node.start();
    return node;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async start(): Promise<void> {
    this.#server = await ServerProcess.start(this.#settings);
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  /** Has it drain by SIGTERM. Gives "code 0" when all is well. */
  async stop(): Promise<string> {
    const ended = (await this.#server?.stop()) ?? "not running";
    this.#server = undefined;
    return ended;
  }

  /** Whether it takes orders. */
  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(new URL("/readyz", this.orderUrl), { signal: AbortSignal.timeout(1_000) });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
