import { Balancer } from "../../load/cluster/balancer.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { RestateServer } from "../support/restate-server.ts";
import { startService, type TestService } from "../support/service.ts";

/** Three nodes of this process on one engine, behind a balancer. */
export class ThreeNodes implements AsyncDisposable {
  readonly nodes: readonly TestService[];
  readonly #random: () => number;
  readonly #stack: AsyncDisposableStack;

  private constructor(nodes: readonly TestService[], random: () => number, stack: AsyncDisposableStack) {
    this.nodes = nodes;
    this.#random = random;
    this.#stack = stack;
  }

  /** All of them ready. `seed` decides which node is asked when. */
  static async start(seed: string): Promise<ThreeNodes> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await RestateServer.start());
    const balancer = stack.use(await Balancer.start());
    const settings = {
      ENGINE: "restate",
      JOURNAL: "",
      RESTATE_INGRESS_URL: server.ingressUrl,
      RESTATE_ADMIN_URL: server.adminUrl,
      RESTATE_ENDPOINT_PORT: "0",
      // Three nodes in one process that waits for a core now and then.
      RESTATE_COURIER_LEASE_MS: "10000",
    };
    const nodes: TestService[] = [];
    for (const name of ["one", "two", "three"]) {
      nodes.push(stack.use(await startService({ ...settings, RESTATE_NODE_NAME: name })));
    }
    balancer.use(nodes.map(({ service }) => `http://127.0.0.1:${service.endpointPort}`));
    await server.register(balancer.url);
    for (const { port } of nodes)
      await eventually("the node to be ready", async () => (await send(port, { path: "/readyz" })).status === 200);
    return new ThreeNodes(nodes, randomFrom(seed), stack.move());
  }

  /** Some node's. */
  get port(): number {
    return (this.nodes[Math.floor(this.#random() * this.nodes.length)] as TestService).port;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
