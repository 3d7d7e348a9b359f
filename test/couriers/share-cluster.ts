import { vi } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CourierShare, type Share, type ShareRequest } from "../../src/couriers/courier-share.ts";
import { SharedCapacity } from "../../src/couriers/shared-capacity.ts";
import { type CancelCause, orderCause } from "../../src/orders/cancel-cause.ts";
import type { EndedStep, StepOutcome } from "../../src/orders/step.ts";
import type { StepGroup, StepRunner } from "../../src/orders/step-runner.ts";
import { Canceled, CancelScope } from "../../src/threads/index.ts";
import { allocated, type Claimant } from "./allocation-model.ts";

const STEP_MS = 5;
export const GRACE_MS = 250;
/** Shorter than an order's deadline. */
export const LEASE_MS = 1_500;
const HEARTBEAT_MS = 100;
const DEADLINE_MS = 2_000;
const REPLY_TIMEOUT_MS = 1_000;
const LONGEST_STALL_MS = 4_000;
const LONGEST_PAUSE_MS = 400;

interface Life extends Claimant {
  readonly asked: number;
}

/** Nodes with a database, a network and a provider between them that are all made up, on a clock that tests move. */
export class ShareCluster {
  readonly nodes: ShareNode[] = [];
  readonly total: number;
  readonly random: () => number;
  readonly lives = new Map<number, Life>();
  /** Shares of the requests that are lost, before or after they were executed, or take up to 4 s. */
  loses = 0;
  stalls = 0;
  /** Share of the orders that call some time after they got their permit, as one does whose provider was unavailable at first. */
  pauses = 0;
  underWay = 0;
  mostUnderWay = 0;
  cutOff = 0;
  #begun = 0;

  constructor({ nodes, total, seed }: { nodes: number; total: number; seed: string }) {
    this.random = randomFrom(seed);
    this.total = total;
    for (let index = 0; index < nodes; index++) this.add();
  }

  add(): ShareNode {
    const node = new ShareNode(this);
    this.nodes.push(node);
    return node;
  }

  node(index: number): ShareNode {
    return this.nodes[index] as ShareNode;
  }

  get held(): number {
    return [...this.lives.values()].reduce((sum, { held }) => sum + held, 0);
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) await vi.advanceTimersByTimeAsync(STEP_MS);
  }

  /** Lets time pass until all couriers are in use, or for so long. Returns how long it took. */
  async passUntilFull(longestMs: number): Promise<number> {
    for (let passed = 0; ; passed += STEP_MS) {
      if (this.underWay === this.total || passed >= longestMs) return passed;
      await this.pass(STEP_MS);
    }
  }

  /** Lets time pass until it resolves. */
  async passUntil<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const watched = promise.finally(() => {
      over = true;
    });
    while (!over) await this.pass(STEP_MS);
    return watched;
  }

  begin(): number {
    this.lives.set(++this.#begun, { held: 0, wanted: 0, waitedMs: 0, asked: 0 });
    return this.#begun;
  }

  /** As the database does it. */
  share(life: number, { number, keep, want, waitedMs }: ShareRequest): Share | undefined {
    const before = this.lives.get(life);
    if (before === undefined || number <= before.asked) return undefined;
    const own = { held: Math.min(before.held, keep), wanted: want, waitedMs, asked: number };
    const others = [...this.lives].filter(([other]) => other !== life).map(([, row]) => row);
    const answer = allocated(own, others, this.total);
    this.lives.set(life, { ...own, held: answer.held });
    return answer;
  }
}

/** A node that tells the database every tenth of a second that it lives, and begins a new life where others have ended its own. */
export class ShareNode {
  readonly couriers: CourierShare;
  readonly capacity: SharedCapacity;
  placed = 0;
  /** Begun at the provider. */
  calls = 0;
  faults = 0;
  requests = 0;
  /** Whether it reaches the database. */
  connected = true;
  life: number;
  readonly #cluster: ShareCluster;
  readonly #runner: StepRunner;
  #sureUntilMs: number;
  #underWay = 0;
  #dead = false;

  constructor(cluster: ShareCluster) {
    this.#cluster = cluster;
    const nowMs = () => Date.now();
    this.life = cluster.begin();
    this.#sureUntilMs = nowMs() + LEASE_MS;
    this.capacity = new SharedCapacity(cluster.total, { nowMs });
    this.couriers = new CourierShare({
      capacity: this.capacity,
      total: cluster.total,
      cancelGraceMs: GRACE_MS,
      sureUntilMs: () => this.#sureUntilMs,
      sync: (request) => this.#sync(request),
      onFault: () => this.faults++,
      nowMs,
    });
    this.#runner = this.couriers.guard({ open: (scope) => this.#group(scope) });
    void this.#live();
  }

  async #live(): Promise<void> {
    while (!this.#dead) {
      const sentMs = Date.now();
      await wait(HEARTBEAT_MS);
      if (this.#dead) return;
      if (this.connected) {
        if (!this.#cluster.lives.has(this.life)) this.life = this.#cluster.begin();
        this.#sureUntilMs = sentMs + LEASE_MS;
      } else if (Date.now() >= this.#sureUntilMs) {
        this.#cluster.lives.delete(this.life);
      }
    }
  }

  async #sync(request: ShareRequest): Promise<Share | undefined> {
    const { random, loses, stalls } = this.#cluster;
    const { life } = this;
    this.requests++;
    const [chance, wayMs] = [random(), random() < stalls ? random() * LONGEST_STALL_MS : 2 + random() * 20];
    // What was sent may arrive after the node has taken it for lost.
    const answered = wait(wayMs / 2).then(async () => {
      const answer = this.connected && !this.#dead && chance >= loses / 2 ? this.#cluster.share(life, request) : "lost";
      await wait(wayMs / 2);
      if (answer === "lost" || chance < loses || !this.connected) throw new Error("lost");
      return this.life === life ? answer : undefined;
    });
    answered.catch(() => {});
    const timedOut = wait(REPLY_TIMEOUT_MS).then(() => Promise.reject(new Error("timed out")));
    timedOut.catch(() => {});
    const answer = await Promise.race([answered, timedOut]);
    // What is dead hears no answer.
    return this.#dead ? new Promise(() => {}) : answer;
  }

  /** So many clients that order one after the other, each for so long. */
  load(clients: number, [leastMs, mostMs]: readonly [number, number]): void {
    const { random } = this.#cluster;
    const client = async () => {
      while (!this.#dead) {
        await this.order(leastMs + random() * (mostMs - leastMs), random() < this.#cluster.pauses ? random() * LONGEST_PAUSE_MS : 0);
      }
    };
    for (let count = 0; count < clients; count++) void client();
  }

  /** `pausesMs`: what lies between the step's permit and its call. */
  async order(ms: number, pausesMs = 0, deadlineMs = DEADLINE_MS): Promise<"done" | "canceled"> {
    const scope = new CancelScope<CancelCause>();
    const deadline = setTimeout(() => scope.cancel("deadline"), deadlineMs);
    try {
      using _permit = await this.capacity.acquire(scope);
      if (pausesMs > 0) await wait(pausesMs);
      const step = { name: "courier", action: "perform", computes: false, retryable: false } as const;
      const { outcome } = await this.#runner.open(scope).run(step, { orderId: "order", attempt: 1, amount: ms });
      if (outcome.status !== "ok") return "canceled";
      this.placed++;
      return "done";
    } catch (error) {
      if (!(error instanceof Canceled)) throw error;
      return "canceled";
    } finally {
      clearTimeout(deadline);
    }
  }

  /** A step takes as many milliseconds as its amount. */
  #group(scope: CancelScope): StepGroup {
    return {
      close: () => {},
      run: async (_step, { amount }) => {
        const ended = (outcome: StepOutcome): EndedStep => ({ outcome, endedAtMs: Date.now() });
        if (this.#dead || scope.cause !== undefined) return ended({ status: "canceled", cause: "deadline", effect: "none" });
        this.calls++;
        this.#underWay++;
        this.#cluster.mostUnderWay = Math.max(this.#cluster.mostUnderWay, ++this.#cluster.underWay);
        const canceled = new Promise<void>((resolve) => void scope.onCancel(() => resolve()));
        await Promise.race([wait(amount), canceled]);
        // A canceled call takes its time to end, up to the grace.
        if (scope.cause !== undefined) {
          this.#cluster.cutOff++;
          await wait(this.#cluster.random() * GRACE_MS);
        }
        // The dead have ended all at once.
        if (!this.#dead) {
          this.#underWay--;
          this.#cluster.underWay--;
        }
        return ended(
          scope.cause === undefined ? { status: "ok" } : { status: "canceled", cause: orderCause(scope.cause), effect: "unknown" },
        );
      },
    };
  }

  /** SIGKILL: its calls end, it does nothing any more, and others see that soon. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.couriers.stop();
    this.#cluster.underWay -= this.#underWay;
    setTimeout(() => this.#cluster.lives.delete(this.life), HEARTBEAT_MS);
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
