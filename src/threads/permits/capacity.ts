import type { CancelScope } from "../cancel-scope.ts";
import type { Subscription } from "../cancelable.ts";
import { Canceled } from "../canceled.ts";
import type { Link } from "../chain.ts";
import { monotonicMs } from "../clock.ts";
import { DEFAULT_PRIORITY, FairQueue, type Weights } from "./fair-queue.ts";
import { Grants, Permit } from "./grants.ts";
import { HoldTime } from "./hold-time.ts";

export interface CapacityOptions {
  /**
   * Ends a wait, and cancels its scope with `deadline`, where even the shortest recent hold would end after the scope's deadline while
   * others could use the permit. For permits whose holders stop at the deadline.
   */
  readonly endsHopelessWaits?: boolean;
  /** About the longest that anybody waits: see `HoldTime`. */
  readonly patienceMs?: number;
  /** On the clock of `monotonicMs`, which deadlines are on. */
  readonly nowMs?: () => number;
}

const PATIENCE_MS = 2_000;
// Reading the clock costs more than the rest of a release. Of the grants that nobody waited for one in four is measured.
const MEASURED_GRANTS = 4;
// Kinds of holds that are told apart. All further ones are one kind: names from outside must not fill the memory.
const MAX_KINDS = 64;

export interface Waiter extends Link<Waiter> {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: Canceled) => void;
  readonly scope: CancelScope | undefined;
  readonly priority: number;
  readonly hold: HoldTime;
  readonly cameAtMs: number;
  subscription: Subscription | undefined;
}

/**
 * A bounded number of permits, granted in fair shares to three priorities and, within one of them, first come first served; waiters can be
 * canceled (Trio's CapacityLimiter; the rules of a grant that meets a cancel are those of Go's x/sync semaphore).
 * Main thread only, one event loop: no waiter holds an OS thread.
 *
 * Rules:
 * 1. No permit is granted while `inUse` is at the limit, or above it since `resize` has lowered it.
 * 2. A newcomer overtakes no waiter of its priority. Of those that wait, each priority gets its weight's share of the permits.
 * 3. Canceled first: the wait fails even if a permit is free.
 * 4. Granted first, canceled before the waiter ran again: the permit goes to the next waiter and the wait fails.
 * 5. A permit is released exactly once.
 * 6. With `endsHopelessWaits` no permit goes to a waiter that is sure to miss its deadline while another waits. The last one gets it: a
 *    permit that is of use to nobody else costs nothing, and shows how long a hold takes now.
 */
export class Capacity {
  readonly #endsHopelessWaits: boolean;
  readonly #patienceMs: number;
  /** Of those who name no kind. */
  readonly #hold: HoldTime;
  readonly #nowMs: () => number;
  readonly line = new FairQueue<Waiter>();
  readonly #kinds = new Map<string, HoldTime>();
  readonly grants = new Grants();
  #limit: number;
  #granted = 0;

  /** `limit`: a whole number, 1 or more. Throws RangeError otherwise. */
  constructor(limit: number, options: CapacityOptions = {}) {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`capacity must be a whole number from 1, not ${limit}`);
    const { endsHopelessWaits = false, patienceMs = PATIENCE_MS, nowMs = monotonicMs } = options;
    this.#limit = limit;
    this.#endsHopelessWaits = endsHopelessWaits;
    this.#patienceMs = patienceMs;
    this.#hold = new HoldTime(patienceMs);
    this.#nowMs = nowMs;
  }

  get limit(): number {
    return this.#limit;
  }

  get inUse(): number {
    return this.grants.length;
  }

  get waiting(): number {
    return this.line.length;
  }

  get granted(): number {
    return this.#granted;
  }

  /** How long the waiter that is next has waited, in milliseconds; 0 while nobody waits. */
  get nextHasWaitedMs(): number {
    const next = this.line.first();
    return next === undefined ? 0 : Math.max(0, this.#nowMs() - next.cameAtMs);
  }

  /** Changes the limit (Trio's `total_tokens`), 0 or more. Waiters get further permits at once; none is taken from its holder. */
  resize(limit: number): void {
    this.#limit = limit;
    this.#grantToWaiters();
  }

  weigh(weights: Weights): void {
    this.line.weigh(weights);
  }

  holdTime(kind?: string): HoldTime {
    if (kind === undefined) return this.#hold;
    if (!this.#kinds.has(kind) && this.#kinds.size < MAX_KINDS) this.#kinds.set(kind, new HoldTime(this.#patienceMs));
    return this.#kinds.get(kind) ?? this.#hold;
  }

  /** A permit if one is free and nobody waits for it. `kind`: of holds that take about the same time. `nowMs`: saves reading the clock. */
  tryAcquire(kind?: string, nowMs?: number): Permit | undefined {
    if (this.line.length > 0 || this.inUse >= this.#limit) return undefined;
    return this.#grant(this.holdTime(kind), nowMs ?? this.#nowMs(), this.#granted % MEASURED_GRANTS === 0);
  }

  /** Waits for a permit. `priority`: 0 (first) to 2 (last). `kind`: as above. Throws `Canceled` when the scope is canceled first. */
  acquire(scope?: CancelScope, priority: number = DEFAULT_PRIORITY, kind?: string): Promise<Permit> {
    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));
    const free = this.tryAcquire(kind);
    return free === undefined ? this.#wait(scope, priority, this.holdTime(kind)) : Promise.resolve(free);
  }

  /** How many permits can be granted from now until so much time has passed: see `Grants`. */
  grantsWithin(withinMs: number): number {
    const nowMs = this.#nowMs();
    return this.grants.within(withinMs, this.limit, this.expectedMs(nowMs), nowMs);
  }

  /** How long the holds to come take on average: of those who wait or, where nobody does, of all that are known. */
  expectedMs(nowMs: number): number {
    let sumMs = 0;
    let holds = 0;
    for (const hold of [this.#hold, ...this.#kinds.values()]) {
      const count = this.line.length === 0 ? hold.known : hold.waiting;
      sumMs += count * hold.expectedMs(nowMs);
      holds += count;
    }
    return holds === 0 ? this.#hold.expectedMs(nowMs) : sumMs / holds;
  }

  #grant(hold: HoldTime, sinceMs: number, isMeasured: boolean): Permit {
    const permit = new Permit(this.#release, hold, sinceMs, isMeasured);
    this.grants.add(permit);
    this.#granted++;
    return permit;
  }

  #wait(scope: CancelScope | undefined, priority: number, hold: HoldTime): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const links = { previous: undefined, next: undefined, subscription: undefined };
      const waiter: Waiter = { resolve, reject, scope, priority, hold, cameAtMs: this.#nowMs(), ...links };
      this.line.add(waiter);
      hold.waiting++;
      waiter.subscription = scope?.onCancel((cause) => {
        this.#leave(waiter);
        reject(new Canceled(cause));
      });
    });
  }

  #leave(waiter: Waiter): void {
    this.line.remove(waiter);
    waiter.hold.waiting--;
  }

  readonly #release = (permit: Permit, cutOff: boolean): void => {
    this.grants.remove(permit);
    if (this.line.length === 0 && !permit.isMeasured && !permit.hold.isDoubted) return;
    const nowMs = this.#nowMs();
    const heldMs = this.grants.heldMs(permit, nowMs);
    if (heldMs >= 0) permit.hold.add(heldMs, cutOff);
    this.#grantToWaiters(nowMs);
  };

  #grantToWaiters(nowMs: number = this.#nowMs()): void {
    while (this.inUse < this.#limit) {
      const next = this.line.first();
      if (next === undefined) return;
      this.#leave(next);
      next.subscription?.unsubscribe();
      if (this.line.length > 0 && this.#isHopeless(next, nowMs)) {
        next.hold.doubt(nowMs);
        // Whatever else its scope does stops now and not at the deadline: without this permit nothing comes of it.
        next.scope?.cancel("deadline");
        // It may have been canceled already, or another cause may have been first.
        next.reject(new Canceled(next.scope?.cause ?? "deadline"));
        continue;
      }
      this.line.served(next);
      // In use from now on, so nobody can overtake.
      const permit = this.#grant(next.hold, nowMs, true);
      void GRANTED.then(() => this.#accept(next, permit));
    }
  }

  #isHopeless({ scope, hold }: Waiter, nowMs: number): boolean {
    const deadlineMs = scope?.deadlineMs;
    return this.#endsHopelessWaits && deadlineMs !== undefined && nowMs + hold.shortestMs(nowMs) > deadlineMs;
  }

  #accept({ resolve, reject, scope }: Waiter, permit: Permit): void {
    if (scope?.cause === undefined) {
      resolve(permit);
      return;
    }
    // Canceled between the grant and this turn (rule 4). That is no hold to learn from.
    this.grants.remove(permit);
    this.#grantToWaiters();
    reject(new Canceled(scope.cause));
  }
}

// A turn of the microtask queue between the grant and its acceptance. Made at the grant, so that a waiter holds one promise only.
const GRANTED = Promise.resolve();
