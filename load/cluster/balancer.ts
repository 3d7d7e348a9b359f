import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Reachable } from "../ledger/service.ts";

const LOOK_EVERY_MS = 200;
// A node that does not answer within that time is left out.
const READY_WITHIN_MS = 300;

/** A node as the balancer knows it. */
interface Target {
  readonly service: Reachable;
  readonly connections: Set<Socket>;
  isReady: boolean;
}

/**
 * One address for all nodes: each connection goes to the ready one that has the fewest. Whether a node is ready it says itself, at `/readyz`; the
 * connections of one that is not are closed, so that clients come back and get another. In production any balancer for TCP or HTTP does the same.
 */
export class Balancer implements Reachable, AsyncDisposable {
  readonly #server: Server;
  readonly #targets: readonly Target[];
  readonly #timer: NodeJS.Timeout;

  private constructor(server: Server, nodes: readonly Reachable[]) {
    this.#server = server;
    this.#targets = nodes.map((service) => ({ service, connections: new Set(), isReady: true }));
    server.on("connection", (client) => this.#pass(client));
    this.#timer = setInterval(() => {
      for (const target of this.#targets) void this.#look(target);
    }, LOOK_EVERY_MS);
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(nodes: readonly Reachable[]): Promise<Balancer> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Balancer(server, nodes);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** It has no admin listener: operators ask a node. */
  get ports(): Reachable["ports"] {
    return { api: this.port, admin: 0 };
  }

  #pass(client: Socket): void {
    client.on("error", () => {});
    const ready = this.#targets.filter(({ isReady, service }) => isReady && service.ports !== undefined);
    const [target] = ready.sort((one, other) => one.connections.size - other.connections.size);
    const port = target?.service.ports?.api;
    if (target === undefined || port === undefined) {
      client.destroy();
      return;
    }
    const node = connect({ port, host: "127.0.0.1", noDelay: true });
    node.on("error", () => {});
    target.connections.add(client);
    client.once("close", () => {
      target.connections.delete(client);
      node.destroy();
    });
    node.once("close", () => client.destroy());
    client.pipe(node).pipe(client);
  }

  async #look(target: Target): Promise<void> {
    const port = target.service.ports?.api;
    target.isReady = port !== undefined && (await isReady(port));
    if (!target.isReady) for (const client of target.connections) client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const { connections } of this.#targets) for (const client of connections) client.destroy();
    await closed;
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(READY_WITHIN_MS) })).ok;
  } catch {
    return false;
  }
}
