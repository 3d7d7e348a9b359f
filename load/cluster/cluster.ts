import { perStepSetting } from "../../src/orders/steps.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { FaultRateSettings } from "../stand-in/fault-rates.ts";
import { type SpawnedStandIn, spawnStandIn } from "../stand-in/spawn.ts";
import { Balancer } from "./balancer.ts";
import { DataDirectory } from "./data-directory.ts";
import { EngineCluster } from "./engine-cluster.ts";
import { ServiceNode } from "./service-node.ts";
import { TcpBalancer } from "./tcp-balancer.ts";

export interface ClusterOptions {
  readonly engineNodes: number;
  readonly serviceNodes: number;
  readonly partitions?: number;
  readonly seed?: string;
  readonly rates?: FaultRateSettings;
  /** Of the service; over those that make it a cluster. */
  readonly settings?: Readonly<Record<string, string>>;
  /** False: the service's own simulated providers instead of the stand-in. */
  readonly realProviders?: boolean;
  readonly onPhase?: (phase: string) => void;
}

/** A whole cluster on this machine: engine, balancers, providers and nodes of the service. `await using` ends all of it. */
export class Cluster implements AsyncDisposable {
  readonly engine: EngineCluster;
  readonly balancer: Balancer;
  readonly providers: SpawnedStandIn | undefined;
  readonly nodes: ServiceNode[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #stack: AsyncDisposableStack;
  #named = 0;

  private constructor(
    engine: EngineCluster,
    balancer: Balancer,
    providers: SpawnedStandIn | undefined,
    settings: Readonly<Record<string, string>>,
    stack: AsyncDisposableStack,
  ) {
    this.engine = engine;
    this.balancer = balancer;
    this.providers = providers;
    this.#settings = settings;
    this.#stack = stack;
  }

  /** Resolves when every node takes orders. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { engineNodes, serviceNodes, partitions = 4, seed = "1", rates = {}, settings = {}, realProviders = true } = options;
    const phase = (text: string): void => options.onPhase?.(text);
    await using stack = new AsyncDisposableStack();
    const { path: directory } = stack.use(new DataDirectory("order-cluster-"));
    phase(`starting an engine of ${engineNodes}`);
    const engine = stack.use(await EngineCluster.start({ directory, nodes: engineNodes, partitions }));
    const ingress = stack.use(await TcpBalancer.start(engine.nodes.map((node) => node.ingressUrl)));
    const admin = stack.use(await TcpBalancer.start(engine.nodes.map((node) => node.adminUrl)));
    const balancer = stack.use(await Balancer.start());
    phase("starting the providers");
    const providers = realProviders ? await spawnStandIn({ seed, rates }) : undefined;
    if (providers !== undefined) stack.defer(() => providers.close());
    const all = {
      RESTATE_INGRESS_URL: ingress.url,
      RESTATE_ADMIN_URL: admin.url,
      ...(providers && perStepSetting("URL", (step) => providers.urls[step])),
      ...settings,
    };
    const cluster = new Cluster(engine, balancer, providers, all, stack.move());
    try {
      phase(`starting ${serviceNodes} nodes of the service`);
      await Promise.all(Array.from({ length: serviceNodes }, () => cluster.add()));
      balancer.use(cluster.nodes.map(({ endpointUrl }) => endpointUrl));
      phase("registering them with the engine");
      await engine.admin.register(balancer.url);
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One node more, which the balancer does not know yet. */
  async add(settings: Readonly<Record<string, string>> = {}): Promise<ServiceNode> {
    const node = await ServiceNode.start(`node-${++this.#named}`, { ...this.#settings, ...settings });
    this.#stack.use(node);
    this.nodes.push(node);
    return node;
  }

  node(index: number): ServiceNode {
    return this.nodes[index % this.nodes.length] as ServiceNode;
  }

  /** Resolves when every living node takes orders. */
  async ready(nodes: readonly ServiceNode[] = this.nodes): Promise<void> {
    await Promise.all(
      nodes.filter(({ pid }) => pid !== undefined).map((node) => eventually(`${node.name} takes orders`, () => node.isReady())),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
