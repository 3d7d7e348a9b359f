import { type Capacity, monotonicMs } from "../../../threads/index.ts";
import type { LeaseAnswer, LeaseSync, Seen } from "./allocation.ts";

export interface LeaseHolderOptions {
  /** This node's capacity; the holder sets its limit to what the lease allows. */
  readonly capacity: Capacity;
  /** Couriers of the whole cluster. */
  readonly total: number;
  /** Unique for each process, an earlier one of this node included. */
  readonly node: string;
  /** How long a canceled courier call may take to end (`CANCEL_GRACE_MS`). */
  readonly cancelGraceMs: number;
  /**
   * For how long couriers may be used after the call that renewed them was sent. With the default of 800: renewals may take 600 ms, and
   * a dead node's couriers are in use again within 2 s: other nodes see its last renewal `RENEW_MS` later at most, and then the lease expires.
   */
  readonly useMs: number;
  /** Calls the `CourierLease` object. Rejects when the engine cannot be reached, or not within `timeoutMs`. */
  readonly sync: (sync: LeaseSync, timeoutMs: number) => Promise<LeaseAnswer>;
  /** Ends every courier call under way on this node. */
  readonly cutOff: () => void;
  /** Couriers have been granted or renewed: calls that were cut off may be made again, as many as are held. */
  readonly onHeld: () => void;
  readonly onFault: (error: unknown) => void;
  readonly nowMs?: () => number;
}

// Three renewals may fail within the shortest useful lease; five calls a second are nothing beside the orders that use them.
const RENEW_MS = 200;
// While couriers change their nodes. A round trip takes about 10 ms; waiters would not gain much from less.
const FAST_MS = 50;
// Between the last use and the moment when others may have the couriers, in addition to the cancel grace: for timers that fire late, and
// for the cancel to reach the thread and the socket.
const CUT_OFF_MS = 200;
// Then unused couriers go back before anybody needs them, so that others need not wait for the next renewal.
const IDLE_MS = 500;
const STOP_TIMEOUT_MS = 1_000;

/**
 * Holds couriers of the cluster for this node. While it holds enough, an order costs no call of the engine: one call each `RENEW_MS`
 * renews all of them, and none is made while nobody uses them.
 *
 * Why there are never more assignments under way than couriers, with nodes that die, engines that stop and clocks that disagree:
 *
 * 1. `CourierLease` gives out only what no node holds (`allocation.ts`), so the sum of what nodes hold is the capacity at most.
 * 2. A node uses what it holds until `useMs` after it sent the last call that was answered, by its own monotonic clock. Then it starts
 *    no call any more and cancels those under way, which takes `cancelGraceMs` at most, and a little: `leaseMs` is the sum.
 * 3. Others may take it over only when one of them has seen the same `seq` for `leaseMs`, by its own monotonic clock. It first saw that
 *    `seq` after the holder had sent it. So its `leaseMs` end after the holder's, and no two clocks are ever compared.
 * 4. Time that the holder waits for an answer counts against it: a lease begins when the call is sent, not when it is answered.
 * 5. What it gives back it stops using before it says so: the limit goes down before the call is sent, and what a call that was cut off
 *    used is kept until that call has ended.
 * 6. A step that has its permit may begin a call later (it was cut off, or tries again after a pause), when the node holds nothing any
 *    more: `courier-calls.ts` has it wait until fewer are under way than are held.
 *
 * What this cannot do: a process that is frozen as a whole (SIGSTOP, a paused machine) for longer than its lease, with a call under
 * way, cuts that call off when it wakes and not before. The provider would have to check for that.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  readonly #nowMs: () => number;
  readonly #leaseMs: number;
  readonly #seen = new Map<string, { readonly seq: number; readonly sinceMs: number; readonly leaseMs: number }>();
  #seq = 0;
  /** From the last answer, less what was given back since. */
  #held = 0;
  #target = 0;
  /** From the last answer. */
  #fairPart = Number.POSITIVE_INFINITY;
  /** The lease has expired; calls that used it may still be ending. */
  #hasExpired = false;
  #wanted = 0;
  #grants = 0;
  #usedAtMs = 0;
  #failing = false;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #calling: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? monotonicMs;
    this.#leaseMs = options.useMs + options.cancelGraceMs + CUT_OFF_MS;
    options.capacity.resize(0, options.total);
  }

  /** How many couriers this node may use now. */
  get held(): number {
    return this.#hasExpired ? 0 : this.#held;
  }

  /** How many calls it has made. */
  get calls(): number {
    return this.#seq;
  }

  /** For the capacity's `onWait`: asks for couriers when the first order has to wait for one. */
  readonly onWait = (): void => {
    if (this.#options.capacity.waiting === 1) this.#callAt(this.#sentAtMs + FAST_MS);
  };

  /** Gives everything back. Resolves when the engine has answered, or does not answer: then the lease expires. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#calling;
    if (this.#held > 0) {
      this.#resize(0);
      await this.#call(STOP_TIMEOUT_MS);
    }
    clearTimeout(this.#expiry);
    this.#held = 0;
  }

  #callAt(atMs: number): void {
    if (this.#stopped) return;
    if (this.#calling !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#calling = this.#call(this.#options.useMs).finally(() => {
          this.#calling = undefined;
          this.#plan();
        });
      },
      Math.max(0, atMs - this.#nowMs()),
    );
    this.#timer.unref();
  }

  #plan(): void {
    const { inUse, waiting } = this.#options.capacity;
    const changing = this.#again || this.#target !== this.#held;
    this.#again = false;
    if (this.#held === 0 && this.#wanted === 0 && waiting === 0 && inUse === 0) return;
    const dueMs = this.#sentAtMs + (changing && !this.#failing ? FAST_MS : RENEW_MS);
    this.#callAt(Math.min(dueMs, Math.max(this.#nextExpiryMs(), this.#sentAtMs + FAST_MS)));
  }

  /** Never rejects. */
  async #call(timeoutMs: number): Promise<void> {
    const { capacity, total, node, sync } = this.#options;
    const nowMs = this.#nowMs();
    const { inUse, waiting } = capacity;
    const { grants } = capacity.held;
    const granted = grants - this.#grants;
    this.#grants = grants;
    if (inUse > 0 || waiting > 0 || granted > 0) this.#usedAtMs = nowMs;
    const idle = this.#stopped || nowMs - this.#usedAtMs > IDLE_MS;
    // A call that was cut off keeps its courier until it has ended.
    const keep = Math.min(this.#held, Math.max(inUse, idle || this.#hasExpired ? 0 : this.#target));
    this.#resize(this.#hasExpired ? 0 : keep);
    this.#sentAtMs = nowMs;
    // A courier that was in use since the last call is wanted, though it may be free at this moment.
    const needed = Math.max(inUse + waiting, Math.min(this.#held, granted));
    // Half as many more while others do not need them: an order that finds none has to wait for a call.
    const spare = needed === 0 ? 0 : Math.min(Math.ceil(needed / 2) + 1, Math.max(0, this.#fairPart - needed));
    this.#wanted = this.#stopped ? 0 : Math.min(Math.max(needed, total), needed + spare);
    const call: LeaseSync = {
      node,
      seq: ++this.#seq,
      capacity: total,
      leaseMs: this.#leaseMs,
      keep,
      want: this.#wanted,
      waitedMs: Math.round(capacity.nextHasWaitedMs),
      expired: this.#expiredOthers(),
    };
    try {
      this.#answered(nowMs, keep, await sync(call, timeoutMs));
    } catch (error) {
      // Kept until the lease expires; the next call repeats it.
      this.#held = Math.min(this.#held, keep);
      if (!this.#failing) this.#options.onFault(error);
      this.#failing = true;
    }
  }

  #answered(sentAtMs: number, keep: number, answer: LeaseAnswer): void {
    const nowMs = this.#nowMs();
    this.#failing = false;
    this.#observe(answer.others, nowMs);
    const usableMs = sentAtMs + this.#options.useMs - nowMs;
    clearTimeout(this.#expiry);
    if (usableMs <= 0) {
      this.#expire();
      return;
    }
    // This node was dropped, so others may have the couriers that it uses.
    if (answer.held < keep) this.#options.cutOff();
    this.#hasExpired = false;
    this.#held = answer.held;
    this.#target = answer.target;
    this.#fairPart = answer.fairPart;
    // The limit is below `held` where others need some: a permit that comes back is not granted again.
    this.#resize(Math.min(answer.held, answer.target), Math.max(1, answer.fairPart));
    this.#expiry = setTimeout(() => this.#expire(), usableMs);
    this.#expiry.unref();
    this.#options.onHeld();
  }

  #expire(): void {
    this.#hasExpired = true;
    this.#target = 0;
    this.#resize(0);
    this.#options.cutOff();
  }

  #resize(limit: number, expected = this.#options.capacity.limit): void {
    this.#options.capacity.resize(limit, expected);
  }

  /** Notes since when each other node has not called. */
  #observe(others: LeaseAnswer["others"], nowMs: number): void {
    for (const { node, seq, leaseMs } of others) {
      if (this.#seen.get(node)?.seq !== seq) this.#seen.set(node, { seq, sinceMs: nowMs, leaseMs });
    }
    for (const node of this.#seen.keys()) if (!others.some((other) => other.node === node)) this.#seen.delete(node);
  }

  #expiredOthers(): Seen[] {
    const nowMs = this.#nowMs();
    return [...this.#seen].flatMap(([node, { seq, sinceMs, leaseMs }]) => (nowMs > sinceMs + leaseMs ? [{ node, seq }] : []));
  }

  #nextExpiryMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#seen.values()].map(({ sinceMs, leaseMs }) => sinceMs + leaseMs + 1));
  }
}
