import { setTimeout as pause } from "node:timers/promises";
import type { World } from "../ledger/world.ts";
import type { Requests } from "../requests.ts";
import type { Couriers } from "./couriers.ts";
import type { ClusterDatabase } from "./database.ts";
import type { Node, Nodes } from "./nodes.ts";
import type { Blow, Planned } from "./plan.ts";

const LOOK_EVERY_MS = 20;
// Of what `GET /orders` shows, enough to see that there is some.
const SHOWN = 5;

export interface BlowsParts {
  readonly world: World;
  readonly nodes: Nodes;
  readonly database: ClusterDatabase;
  readonly couriers: Couriers;
  readonly requests: Requests;
  /** Within this time after a kill all couriers must be in use again. */
  readonly couriersWithinMs: number;
  /**
   * Within this time every order that ran before a blow must have ended, counted from the blow, or from when the database is back; then as much
   * later as it was away.
   */
  readonly endedWithinMs: number;
  readonly say: (text: string) => void;
}

/** How many blows there have been, by kind, and how long the cluster took at most to recover. */
export interface Recovery {
  readonly counts: ReadonlyMap<Blow["kind"], number>;
  readonly slowestEndMs: number;
  readonly slowestCouriersMs: number;
}

/** Does to a cluster what a plan says, one after another, and looks whether it recovers in time. */
export class BlowsInTurn {
  readonly #parts: BlowsParts;
  readonly #counts = new Map<Blow["kind"], number>();
  #slowestEndMs = 0;
  #slowestCouriersMs = 0;

  constructor(parts: BlowsParts) {
    this.#parts = parts;
  }

  get recovery(): Recovery {
    return { counts: this.#counts, slowestEndMs: this.#slowestEndMs, slowestCouriersMs: this.#slowestCouriersMs };
  }

  /** Resolves after the last one, or once `isOver` says so. */
  async run(plan: readonly Planned[], isOver: () => boolean): Promise<void> {
    const { world, say } = this.#parts;
    for (const { after, ...blow } of plan) {
      while (world.orders.size < after && !isOver()) await pause(LOOK_EVERY_MS);
      if (isOver()) return;
      this.#counts.set(blow.kind, (this.#counts.get(blow.kind) ?? 0) + 1);
      const text = describe(blow);
      say(text);
      world.note(text);
      await this.#strike(blow);
    }
  }

  async #strike(blow: Blow): Promise<void> {
    const { nodes, database } = this.#parts;
    switch (blow.kind) {
      case "kill":
        return this.#kill(nodes.all[blow.node] as Node, blow.downMs);
      case "freeze":
        return this.#freeze(nodes.all[blow.node] as Node, blow.ms);
      case "cut":
        return this.#cut(blow.node, blow.ms, blow.directions);
      case "kill database":
        return this.#outage(blow.downMs, () => database.startAgain());
      case "failover":
        return this.#outage(blow.downMs, () => database.promoteStandby());
    }
  }

  async #kill({ name, service }: Node, downMs: number): Promise<void> {
    const { world, couriers, couriersWithinMs, say } = this.#parts;
    service.signal("SIGKILL");
    const ended = this.#ended();
    const inUse = async () => {
      await service.ended();
      const tookMs = await couriers.untilAllInUse(couriersWithinMs);
      if (tookMs === undefined) world.violation(`${couriersWithinMs} ms after ${name} was killed not all couriers are in use`);
      else {
        this.#slowestCouriersMs = Math.max(this.#slowestCouriersMs, tookMs);
        say(`all couriers were in use ${seconds(tookMs)} after the kill`);
      }
    };
    const startAgain = async () => {
      await service.ended();
      await pause(downMs);
      await service.start();
    };
    await Promise.all([ended, inUse(), startAgain()]);
  }

  async #freeze(node: Node, ms: number): Promise<void> {
    const { nodes } = this.#parts;
    nodes.freeze(node);
    const ended = this.#ended();
    await pause(ms);
    nodes.wake(node);
    await ended;
  }

  async #cut(node: number, ms: number, directions: Extract<Blow, { kind: "cut" }>["directions"]): Promise<void> {
    const proxies = this.#parts.database.network(node);
    for (const proxy of proxies) proxy.cut(...directions);
    const ended = this.#ended();
    await pause(ms);
    for (const proxy of proxies) proxy.heal();
    await ended;
  }

  async #outage(downMs: number, end: () => Promise<void>): Promise<void> {
    await this.#parts.database.kill();
    const ended = this.#ended();
    await pause(downMs);
    await end();
    await ended;
  }

  /** Resolves when no order runs that was accepted before now, wherever it ran. */
  async #ended(): Promise<void> {
    const { world, database, endedWithinMs, say } = this.#parts;
    const [beforeMs, startMs] = [Date.now(), performance.now()];
    for (;;) {
      const running = await this.#runningSince(beforeMs);
      // A database that was down then and is back now decides from when on time counts.
      const fromMs = database.upMs === undefined ? undefined : Math.max(startMs, database.upMs);
      const tookMs = fromMs === undefined ? 0 : performance.now() - fromMs;
      if (running?.length === 0 && fromMs !== undefined) {
        this.#slowestEndMs = Math.max(this.#slowestEndMs, tookMs);
        say(`every order that ran then has ended, after ${seconds(tookMs)}`);
        return;
      }
      // The pauses between tries to store an end grow with the time that the database is away.
      const limitMs = endedWithinMs + (fromMs === undefined ? 0 : fromMs - startMs);
      if (tookMs > limitMs) {
        for (const id of running ?? []) world.violation(`it still runs ${Math.round(tookMs)} ms later`, world.orders.get(id));
        return running === undefined ? world.violation("no node says which orders run") : undefined;
      }
      await pause(LOOK_EVERY_MS);
    }
  }

  /** Ids of orders that run since before `beforeMs`, as some node that is awake says; undefined where none does. */
  async #runningSince(beforeMs: number): Promise<string[] | undefined> {
    const { nodes, requests } = this.#parts;
    for (const { admin } of nodes.awake) {
      const path = `/orders?status=running&until=${beforeMs}&limit=${SHOWN}`;
      const answer = await requests.send(admin, { path }).catch(() => undefined);
      if (answer?.status === 200)
        return (JSON.parse(answer.text) as { orders: { order_id: string }[] }).orders.map(({ order_id }) => order_id);
    }
    return undefined;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

/** In words, for whoever watches. */
export function describe(blow: Blow): string {
  switch (blow.kind) {
    case "kill":
      return `SIGKILL to node-${blow.node + 1}, started again after ${blow.downMs} ms`;
    case "freeze":
      return `SIGSTOP to node-${blow.node + 1} for ${blow.ms} ms`;
    case "cut":
      return `node-${blow.node + 1} is cut off from the database for ${blow.ms} ms, ${blow.directions.join(" and ")}`;
    case "kill database":
      return `SIGKILL to the database, started again after ${blow.downMs} ms`;
    case "failover":
      return `SIGKILL to the database, its standby is promoted after ${blow.downMs} ms`;
  }
}
