import { perStepSetting } from "../../src/orders/steps.ts";
import { ChildServer, type Exit } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, type Received, type Sending, send } from "../support/http-client.ts";

export const LEASE_MS = 1_500;

/** A node as `GET /nodes` shows it. */
export interface ShownNode {
  readonly name: string;
  readonly life: number;
  readonly orders_under_way: number;
}

/** A node of a cluster, the service as a process of its own. */
export class NodeProcess implements AsyncDisposable {
  readonly name: string;
  readonly server: ChildServer;
  port = 0;
  adminPort = 0;

  private constructor(name: string, server: ChildServer) {
    this.name = name;
    this.server = server;
  }

  /** `providers`: the address of all of them; simulated where there is none. Resolves when it is up. */
  static async start(name: string, journal: string, providers?: string, settings: Readonly<Record<string, string>> = {}) {
    const urls = providers === undefined ? {} : perStepSetting("URL", () => providers);
    const limits = { NODE_LEASE_MS: `${LEASE_MS}`, CANCEL_GRACE_MS: "200", THREADS: "1" };
    const node = new NodeProcess(name, new ChildServer({ JOURNAL: journal, NODE_NAME: name, ...limits, ...urls, ...settings }));
    Object.assign(node, await node.server.ports());
    return node;
  }

  /** Sends an order; `undefined` where the connection ended without an answer. */
  order(id: string = newId(this.name), more: Sending = {}): Promise<Received | undefined> {
    return postOrder(this.port, { order_id: id, amount: 5 }, more).catch(() => undefined);
  }

  /** `GET /order/{id}`. */
  async shown(id: string) {
    return (await send(this.port, { path: `/order/${id}` })).json;
  }

  async readiness(): Promise<number> {
    return (await send(this.port, { path: "/readyz" })).status;
  }

  /** The nodes that live, as this one sees them. */
  async nodes(): Promise<readonly ShownNode[]> {
    return (await send(this.adminPort, { path: "/nodes" })).json.nodes;
  }

  /** Its own life. */
  async life(): Promise<number> {
    const nodes = await eventually(
      "a node that can see itself",
      () => this.nodes().catch(() => []),
      (seen) => seen.some(({ name }) => name === this.name),
    );
    return nodes.find(({ name }) => name === this.name)?.life as number;
  }

  /** The messages of its log, from `warn` up. */
  get warnings(): string[] {
    const lines = this.server.stdout.split("\n").filter((line) => line.startsWith("{"));
    return lines
      .map((line) => JSON.parse(line))
      .filter(({ level }) => level >= 40)
      .map(({ msg }) => msg);
  }

  freeze(): void {
    this.server.signal("SIGSTOP");
  }

  wake(): void {
    this.server.signal("SIGCONT");
  }

  async kill(): Promise<void> {
    this.server.signal("SIGKILL");
    await this.server.exited;
  }

  stop(): Promise<Exit> {
    this.server.signal("SIGTERM");
    return this.server.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}
