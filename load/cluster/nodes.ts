import type { Reachable } from "../ledger/service.ts";
import { Service } from "../ledger/service.ts";
import { randomFrom } from "../stand-in/random.ts";

// A client whose request waits at a frozen node asks nobody else meanwhile. With more of them all clients would soon be there.
const SENT_TO_FROZEN = 0.1;

/** One node of a cluster. */
export interface Node {
  readonly name: string;
  readonly service: Service;
  isFrozen: boolean;
}

export interface NodesOptions {
  readonly directory: string;
  /** One for each node. */
  readonly journals: readonly string[];
  /** Of all nodes. */
  readonly settings: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly onOwnEnd: (text: string) => void;
}

/** The nodes of a cluster, each in a process of its own. As something to send to: another one each time, by chance. */
export class Nodes implements Reachable {
  readonly all: readonly Node[];
  readonly #random: () => number;

  constructor({ directory, journals, settings, seed, onOwnEnd }: NodesOptions) {
    this.#random = randomFrom(`${seed} nodes`);
    this.all = journals.map((journal, index) => {
      const name = `node-${index + 1}`;
      const service = new Service({
        directory,
        name,
        settings: { ...settings, JOURNAL: journal, NODE_NAME: name },
        onOwnEnd: (exit, lastLines) => onOwnEnd(`${name} ended by itself with ${JSON.stringify(exit)}: ${lastLines}`),
      });
      return { name, service, isFrozen: false };
    });
  }

  async start(): Promise<void> {
    await Promise.all(this.all.map(({ service }) => service.start()));
  }

  get ports(): Reachable["ports"] {
    const some = this.all.filter(({ isFrozen }) => !isFrozen || this.#random() < SENT_TO_FROZEN).filter(({ service }) => service.ports);
    return some[Math.floor(this.#random() * some.length)]?.service.ports;
  }

  /** The ports of all that are neither down nor frozen. */
  get awake(): readonly NonNullable<Reachable["ports"]>[] {
    return this.all.flatMap(({ isFrozen, service: { ports } }) => (isFrozen || ports === undefined ? [] : [ports]));
  }

  freeze(node: Node): void {
    if (node.service.pid === undefined) return;
    node.isFrozen = true;
    process.kill(node.service.pid, "SIGSTOP");
  }

  wake(node: Node): void {
    if (node.service.pid === undefined) return;
    process.kill(node.service.pid, "SIGCONT");
    node.isFrozen = false;
  }

  /** Has all of them drain by SIGTERM; gives those that did not end well, as text. */
  async stop(): Promise<string[]> {
    const ends = this.all.map(async ({ name, service }) => {
      service.signal("SIGTERM");
      const exit = await service.ended();
      return exit?.code === 0 ? [] : [`after SIGTERM ${name} ended with ${JSON.stringify(exit)}`];
    });
    return (await Promise.all(ends)).flat();
  }

  async kill(): Promise<void> {
    for (const { service } of this.all) service.signal("SIGKILL");
    await Promise.all(this.all.map(({ service }) => service.ended()));
  }
}
