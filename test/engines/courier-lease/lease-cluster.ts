import { vi } from "vitest";
import { randomFrom } from "../../../load/stand-in/random.ts";
import { allocate, type LeaseAnswer, type LeaseEntry, type LeaseSync } from "../../../src/engines/restate/courier-lease/allocation.ts";
import { CourierCalls } from "../../../src/engines/restate/courier-lease/courier-calls.ts";
import { LeaseHolder } from "../../../src/engines/restate/courier-lease/lease-holder.ts";
import { type CancelCause, orderCause } from "../../../src/orders/cancel-cause.ts";
import type { EndedStep, StepOutcome } from "../../../src/orders/step.ts";
import type { StepGroup } from "../../../src/orders/step-runner.ts";
import { Canceled, CancelScope, Capacity } from "../../../src/threads/index.ts";

const STEP_MS = 5;
const GRACE_MS = 250;
const DEADLINE_MS = 2_000;
const LONGEST_STALL_MS = 4_000;
const LONGEST_PAUSE_MS = 400;

/** Lease holders with an engine, a network and a provider between them that are all made up, on a clock that tests move. */
export class LeaseCluster {
  readonly nodes: LeaseNode[] = [];
  readonly capacity: number;
  readonly random: () => number;
  entries: readonly LeaseEntry[] = [];
  engineUp = true;
  /** Shares of the calls that are lost, before or after they were executed, or take up to 4 s. */
  loses = 0;
  stalls = 0;
  /** Share of the orders that call some time after they got their permit, as one does whose provider was unavailable at first. */
  pauses = 0;
  underWay = 0;
  mostUnderWay = 0;
  #made = 0;

  constructor({ nodes, capacity, seed }: { nodes: number; capacity: number; seed: string }) {
    this.random = randomFrom(seed);
    this.capacity = capacity;
    for (let index = 0; index < nodes; index++) this.add();
  }

  add(): LeaseNode {
    const node = new LeaseNode(this, `node ${++this.#made}`);
    this.nodes.push(node);
    return node;
  }

  node(index: number): LeaseNode {
    return this.nodes[index] as LeaseNode;
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) await vi.advanceTimersByTimeAsync(STEP_MS);
  }

  /** Lets time pass until all couriers are in use, or for so long. Returns how long it took. */
  async passUntilFull(longestMs: number): Promise<number> {
    for (let passed = 0; ; passed += STEP_MS) {
      if (this.underWay === this.capacity || passed >= longestMs) return passed;
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

  /** One call to begin and to end at the provider. */
  began(): void {
    this.underWay++;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
  }

  async sync(call: LeaseSync, timeoutMs: number): Promise<LeaseAnswer> {
    const chance = this.random();
    const wayMs = this.random() < this.stalls ? this.random() * LONGEST_STALL_MS : 2 + this.random() * 20;
    const executed = wait(wayMs / 2).then(() => {
      if (!this.engineUp || chance < this.loses / 2) return undefined;
      const { entries, answer } = allocate(this.entries, call);
      this.entries = entries;
      return structuredClone(answer);
    });
    const answered = executed.then(async (answer) => {
      await wait(wayMs / 2);
      if (answer === undefined || chance < this.loses) throw new Error("lost");
      return answer;
    });
    answered.catch(() => {});
    const timedOut = wait(timeoutMs).then(() => Promise.reject(new Error("timed out")));
    timedOut.catch(() => {});
    return Promise.race([answered, timedOut]);
  }
}

export class LeaseNode {
  readonly holder: LeaseHolder;
  placed = 0;
  /** Begun at the provider. */
  calls = 0;
  faults = 0;
  readonly #cluster: LeaseCluster;
  readonly #capacity: Capacity;
  readonly #calls: CourierCalls;
  #underWay = 0;
  #dead = false;

  constructor(cluster: LeaseCluster, name: string) {
    this.#cluster = cluster;
    const nowMs = () => Date.now();
    this.#calls = new CourierCalls({ open: (scope) => this.#group(scope) }, () => this.holder.held);
    this.#capacity = new Capacity(cluster.capacity, { nowMs, onWait: () => this.holder.onWait() });
    this.holder = new LeaseHolder({
      capacity: this.#capacity,
      total: cluster.capacity,
      node: name,
      cancelGraceMs: GRACE_MS,
      useMs: 800,
      // What is dead neither calls nor hears an answer.
      sync: async (call, timeoutMs) => {
        if (this.#dead) return new Promise(() => {});
        const answer = await cluster.sync(call, timeoutMs);
        return this.#dead ? new Promise(() => {}) : answer;
      },
      cutOff: () => this.#calls.cutOff(),
      onHeld: () => this.#calls.resume(),
      onFault: () => this.faults++,
      nowMs,
    });
  }

  /** So many clients that order one after the other, each for so long. */
  load(clients: number, [leastMs, mostMs]: readonly [number, number]): void {
    for (let client = 0; client < clients; client++) {
      void (async () => {
        const { random } = this.#cluster;
        while (!this.#dead) {
          await this.order(leastMs + random() * (mostMs - leastMs), random() < this.#cluster.pauses ? random() * LONGEST_PAUSE_MS : 0);
        }
      })();
    }
  }

  /** `pausesMs`: what lies between the step's permit and its call. */
  async order(ms: number, pausesMs = 0, deadlineMs = DEADLINE_MS): Promise<"done" | "canceled"> {
    const scope = new CancelScope<CancelCause>();
    const deadline = setTimeout(() => scope.cancel("deadline"), deadlineMs);
    try {
      using _permit = await this.#capacity.acquire(scope);
      if (pausesMs > 0) await wait(pausesMs);
      const input = { orderId: "order", attempt: 1, amount: ms };
      const { outcome } = await this.#calls
        .open(scope)
        .run({ name: "courier", action: "perform", computes: false, retryable: false }, input);
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
        if (this.#dead) return ended({ status: "canceled", cause: "shutdown", effect: "none" });
        this.calls++;
        this.#underWay++;
        this.#cluster.began();
        const canceled = new Promise<void>((resolve) => void scope.onCancel(() => resolve()));
        await Promise.race([wait(amount), canceled]);
        // A canceled call takes its time to end, up to the grace.
        if (scope.cause !== undefined) await wait(this.#cluster.random() * GRACE_MS);
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

  /** SIGKILL: its calls end, and it does nothing any more. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#cluster.underWay -= this.#underWay;
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
