import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { EngineAdmin } from "../../src/engines/restate/client/engine-admin.ts";
import { EngineProcess, enginePath } from "./engine-process.ts";

const run = promisify(execFile);
const PROVISION_TRIES = 100;
const PROVISION_PAUSE_MS = 200;
const DEAD_AFTER_MS = 2_000;

export interface EngineClusterOptions {
  /** Data of all nodes; stays until the caller removes it. */
  readonly directory: string;
  /** 1, or 3 for one whose logs and metadata outlive the loss of a node. */
  readonly nodes: number;
  readonly partitions?: number;
}

/** An engine of several processes on 127.0.0.1 that keep everything twice: metadata and logs are replicated, any one of three may die. */
export class EngineCluster implements AsyncDisposable {
  readonly nodes: readonly EngineProcess[];
  readonly #settings: Readonly<Record<string, string>>;

  private constructor(nodes: readonly EngineProcess[], settings: Readonly<Record<string, string>>) {
    this.nodes = nodes;
    this.#settings = settings;
  }

  /** Resolves when every node takes calls: half a second for one, about seven for three. */
  static async start({ directory, nodes: count, partitions = 4 }: EngineClusterOptions): Promise<EngineCluster> {
    const nodes: EngineProcess[] = [];
    for (let number = 1; number <= count; number++) {
      nodes.push(await EngineProcess.prepare({ directory, name: `engine-${number}`, partitions }));
    }
    const isOne = nodes.length === 1;
    const cluster = new EngineCluster(nodes, isOne ? {} : replicated(nodes));
    try {
      for (const node of nodes) node.spawn(cluster.#settings);
      if (!isOne) await provision(nodes, partitions);
      await Promise.all(nodes.map((node) => node.up()));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  node(index: number): EngineProcess {
    return this.nodes[index % this.nodes.length] as EngineProcess;
  }

  /** The admin listener of a node that lives. */
  get admin(): EngineAdmin {
    const living = this.nodes.find(({ pid }) => pid !== undefined);
    if (living === undefined) throw new Error("no engine node lives");
    return new EngineAdmin(living.adminUrl);
  }

  /** Starts a node again that was killed. Resolves when it takes calls. */
  async restart(index: number): Promise<void> {
    await this.node(index).start(this.#settings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}

function replicated(nodes: readonly EngineProcess[]): Record<string, string> {
  return {
    RESTATE_CLUSTER_NAME: "orders",
    // Each would found a cluster of its own.
    RESTATE_AUTO_PROVISION: "false",
    RESTATE_METADATA_CLIENT__TYPE: "replicated",
    RESTATE_METADATA_CLIENT__ADDRESSES: JSON.stringify(nodes.map(({ nodeUrl }) => nodeUrl)),
    RESTATE_BIFROST__DEFAULT_PROVIDER: "replicated",
    RESTATE_DEFAULT_REPLICATION: "2",
    // The default of 5 s is for networks that lose packets; on loopback a node that says nothing is dead.
    RESTATE_GOSSIP_SUSPECT_INTERVAL: `${DEAD_AFTER_MS}ms`,
  };
}

/** Once in a cluster's life: founds it, with everything on two of its nodes. */
async function provision(nodes: readonly EngineProcess[], partitions: number): Promise<void> {
  const addresses = nodes.map(({ nodeUrl }) => nodeUrl).join();
  const how = ["--log-provider", "replicated", "--replication", "2", "--num-partitions", String(partitions)];
  let said = "";
  for (let tries = 0; tries < PROVISION_TRIES; tries++) {
    const { stdout, stderr } = await run(enginePath("restatectl"), ["--address", addresses, "provision", "--yes", ...how], { env: {} });
    said = stdout + stderr;
    // It ends with 0 whatever comes of it.
    if (said.includes("successfully")) return;
    await pause(PROVISION_PAUSE_MS);
  }
  throw new Error(`the engine's cluster could not be provisioned:\n${said}`);
}
