import type { CancelCause } from "../orders/cancel-cause.ts";
import type { OnFault } from "../orders/faults.ts";
import type { AttemptInput, EndedStep } from "../orders/step.ts";
import type { StepGroup, StepRunner, StepSpec } from "../orders/step-runner.ts";
import { type CancelScope, monotonicMs } from "../threads/index.ts";
import { CUT_OFF_MS } from "./cut-off.ts";
import type { SharedCapacity } from "./shared-capacity.ts";

/** What a node tells of itself. */
export interface ShareRequest {
  /** Grows with each request. One that arrives after a later one must change nothing. */
  readonly number: number;
  /** How many of its couriers it keeps; it has stopped using the rest. */
  readonly keep: number;
  /** How many it could use now, those it keeps included. */
  readonly want: number;
  /** How long its first waiter has waited. */
  readonly waitedMs: number;
  readonly total: number;
}

export interface Share {
  readonly held: number;
  /** How many it should hold: fewer where others need some, more where others have to give some back first. */
  readonly target: number;
}

export interface CourierShareOptions {
  readonly capacity: SharedCapacity;
  /** Couriers of the cluster. */
  readonly total: number;
  /** How long a canceled call may take to end (`CANCEL_GRACE_MS`). */
  readonly cancelGraceMs: number;
  /** Until when no other node takes this one for dead, on the monotonic clock. */
  readonly sureUntilMs: () => number;
  /** Resolves with undefined where others have taken this node for dead. Rejects where they cannot be asked; it has happened or not. */
  readonly sync: (request: ShareRequest) => Promise<Share | undefined>;
  readonly onFault: OnFault;
  readonly nowMs?: () => number;
}

// While couriers are in use: what others need, and what a dead node held, is seen so late at most.
const RENEW_MS = 200;
// While couriers change their nodes. A commit takes some milliseconds; waiters would gain little from less.
const FAST_MS = 50;
// Then couriers go back that nobody here uses.
const IDLE_MS = 500;
// `sureUntilMs` may come nearer, so it is looked at: a session that breaks frees its lock at once.
const LOOK_MS = 50;

/**
 * This node's share of the couriers. One request each `RENEW_MS` serves all orders, and none is made while no courier is used.
 *
 * Invariant: no more courier calls are under way in the cluster than there are couriers, because
 *
 * 1. what the nodes that live hold is never more than that, whatever they ask for at the same moment, and however late (`sync`);
 * 2. a node uses no more than it holds, and stops using a courier before it says so (`keep`);
 * 3. from `sureUntilMs` on others may use what this node holds. So `CANCEL_GRACE_MS` and `CUT_OFF_MS` earlier no call begins here any more, and
 *    those under way are cut off with their orders, however large `ORDER_TIMEOUT_MS` is. With the default settings an order has ended by then,
 *    unless the session broke: its acceptance was a commit, and `sureUntilMs` is a lease after the last one.
 *
 * A process that is frozen for longer than its lease cuts its calls off when it wakes and not before. Nor is a call ended at its provider.
 */
export class CourierShare {
  readonly #options: CourierShareOptions;
  readonly #nowMs: () => number;
  #calls: CourierCalls | undefined;
  #requests = 0;
  #held = 0;
  #target = 0;
  #wanted = 0;
  #usedAtMs = 0;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** The time it was sure of is over, so others may hold what it held. Until an answer comes in time; one that comes late sets it too. */
  #hasLapsed = false;
  #failing = false;
  #asking = false;
  #again = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: CourierShareOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? monotonicMs;
    options.capacity.onWait = () => this.#askAt(this.#sentAtMs + FAST_MS);
  }

  /** How many couriers this node may use now. */
  get held(): number {
    return this.#hasLapsed || !this.#isSure() ? 0 : this.#held;
  }

  /** The runner for all steps of orders: by it courier calls are cut off in time. To be called once, before any order runs. */
  guard(runner: StepRunner): StepRunner {
    this.#calls = new CourierCalls(runner, () => this.held);
    return this.#calls;
  }

  /** Asks no more. The couriers are others' when this node's life has ended. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
  }

  #isSure(): boolean {
    return this.#nowMs() < this.#usableUntilMs();
  }

  #usableUntilMs(): number {
    return this.#options.sureUntilMs() - this.#options.cancelGraceMs - CUT_OFF_MS;
  }

  #askAt(atMs: number): void {
    if (this.#asking) this.#again = true;
    if (this.#asking || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, atMs - this.#nowMs())).unref();
  }

  async #ask(): Promise<void> {
    const request = this.#request();
    this.#sentAtMs = this.#nowMs();
    this.#asking = true;
    try {
      this.#answered(request.keep, await this.#options.sync(request));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.onFault("couriers cannot be shared with the other nodes", error);
      this.#failing = true;
    }
    this.#asking = false;
    this.#plan();
  }

  #request(): ShareRequest {
    const { capacity, total } = this.#options;
    // A courier that was in use since the last request is wanted, though it may be free at this moment.
    this.#wanted = Math.min(total, Math.max(capacity.takeMostInUse(), capacity.inUse + capacity.waiting));
    if (this.#wanted > 0) this.#usedAtMs = this.#nowMs();
    const isIdle = this.#nowMs() - this.#usedAtMs > IDLE_MS;
    const keep = Math.min(this.#held, Math.max(capacity.inUse, isIdle ? 0 : this.#target));
    this.#held = keep;
    this.#limitCapacity();
    return { number: ++this.#requests, keep, want: this.#wanted, waitedMs: Math.round(capacity.nextHasWaitedMs), total };
  }

  #answered(keep: number, { held, target }: Share = { held: 0, target: 0 }): void {
    this.#held = held;
    this.#target = target;
    this.#hasLapsed = !this.#isSure();
    this.#limitCapacity();
    // Others may use what it uses.
    if (held < keep) this.#calls?.cutOff();
    if (held > 0) this.#watch ??= this.#watchEnd();
  }

  /** To what is held and not wanted back: a permit that comes back above that is not granted again. Admission expects `#target`. */
  #limitCapacity(): void {
    this.#options.capacity.share(Math.min(this.held, this.#target), this.#target);
  }

  #watchEnd(): NodeJS.Timeout {
    const look = () => {
      this.#watch = undefined;
      if (this.#held === 0 || this.#stopped) return;
      if (this.#isSure()) {
        this.#watch = this.#watchEnd();
        return;
      }
      this.#hasLapsed = true;
      this.#limitCapacity();
      this.#calls?.cutOff();
    };
    return setTimeout(look, LOOK_MS).unref();
  }

  #plan(): void {
    const { inUse, waiting } = this.#options.capacity;
    const isChanging = this.#again || this.#target !== this.#held;
    this.#again = false;
    if (this.#held + this.#wanted + inUse + waiting === 0) return;
    this.#askAt(this.#sentAtMs + (isChanging && !this.#failing ? FAST_MS : RENEW_MS));
  }
}

/** Runs steps by another runner, and ends orders whose courier calls must not begin or go on: a permit may be older than the share. */
export class CourierCalls implements StepRunner {
  readonly #runner: StepRunner;
  readonly #held: () => number;
  readonly #underWay = new Set<CancelScope<CancelCause>>();

  constructor(runner: StepRunner, held: () => number) {
    this.#runner = runner;
    this.#held = held;
  }

  open(scope: CancelScope<CancelCause>, priority?: number): StepGroup {
    const steps = this.#runner.open(scope, priority);
    return {
      run: (step, input) =>
        step.name === "courier" && step.action === "perform" ? this.#run(scope, steps, step, input) : steps.run(step, input),
      close: () => steps.close(),
    };
  }

  /** Cancels the orders whose courier calls are under way. */
  cutOff(): void {
    for (const scope of [...this.#underWay]) scope.cancel("deadline");
  }

  async #run(scope: CancelScope<CancelCause>, steps: StepGroup, step: StepSpec, input: AttemptInput): Promise<EndedStep> {
    // A group that is canceled before its step makes no call.
    if (this.#underWay.size >= this.#held()) scope.cancel("deadline");
    this.#underWay.add(scope);
    try {
      return await steps.run(step, input);
    } finally {
      this.#underWay.delete(scope);
    }
  }
}
