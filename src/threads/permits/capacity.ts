import type { CancelScope } from "../cancel-scope.ts";
import { Canceled } from "../canceled.ts";
import { monotonicMs } from "../clock.ts";
import { HoldTime, UNMEASURED } from "./hold-time.ts";
import { DEFAULT_URGENCY } from "./urgency.ts";
import { type Waiter, WaitingLine } from "./waiting-line.ts";

export interface CapacityOptions {
  /** A waiter counts as if it had come this many milliseconds later for each level of its urgency (0 is the most). So nobody starves. */
  readonly agingMs?: number;
  /**
   * Ends a wait, and cancels its scope with `deadline`, where a permit comes too late: even the shortest recent hold would end after the
   * scope's deadline. For permits whose holders stop at the deadline.
   */
  readonly endsHopelessWaits?: boolean;
  /** On the clock of `monotonicMs`, which deadlines are on. */
  readonly nowMs?: () => number;
}

// Against a deadline of 2 s: an urgent waiter overtakes most of a line, and the last one waits 0.35 s longer.
const AGING_MS = 50;

/**
 * A bounded number of permits, granted by urgency and, within one urgency, first come first served; waiters can be
 * canceled (Trio's CapacityLimiter; the rules of a grant that meets a cancel are those of Go's x/sync semaphore).
 * Main thread only, one event loop: no waiter holds an OS thread.
 *
 * Rules:
 * 1. No permit is granted while `inUse` is at the limit, or above it since `resize` has lowered it.
 * 2. A newcomer overtakes no waiter of its urgency or a higher one, and one of a lower urgency only while that has waited less
 *    than `agingMs` for each level between them.
 * 3. Canceled first: the wait fails even if a permit is free.
 * 4. Granted first, canceled before the waiter ran again: the permit goes to the next waiter and the wait fails.
 * 5. A permit is released exactly once.
 * 6. With `endsHopelessWaits` no permit goes to a waiter that is sure to miss its deadline.
 */
export class Capacity {
  readonly #agingMs: number;
  readonly #endsHopelessWaits: boolean;
  readonly #nowMs: () => number;
  readonly #line = new WaitingLine<Permit>();
  /** How long its permits are held. */
  readonly held: HoldTime;
  #limit: number;
  #inUse = 0;

  /** `limit`: a whole number, 1 or more. Throws RangeError otherwise. */
  constructor(limit: number, { agingMs = AGING_MS, endsHopelessWaits = false, nowMs = monotonicMs }: CapacityOptions = {}) {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`capacity must be a whole number from 1, not ${limit}`);
    this.#limit = limit;
    this.#agingMs = agingMs;
    this.#endsHopelessWaits = endsHopelessWaits;
    this.#nowMs = nowMs;
    this.held = new HoldTime(nowMs);
  }

  /** How many permits there are. */
  get limit(): number {
    return this.#limit;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#line.length;
  }

  /** How long the waiter that is next has waited, in milliseconds; 0 while nobody waits. */
  get nextHasWaitedMs(): number {
    const next = this.#line.first();
    return next === undefined ? 0 : Math.max(0, this.#nowMs() - next.countsFromMs + next.level.urgency * this.#agingMs);
  }

  /** Changes the limit (Trio's `total_tokens`), 0 or more. Waiters get further permits at once; none is taken from its holder. */
  resize(limit: number): void {
    this.#limit = limit;
    for (; this.#line.length > 0 && this.#inUse < limit; this.#handOn(this.#nowMs())) this.#inUse++;
  }

  /** A permit if one is free and nobody waits for it, else undefined. Never waits. */
  tryAcquire(): Permit | undefined {
    if (this.#line.length > 0 || this.#inUse >= this.#limit) return undefined;
    this.#inUse++;
    return new Permit(this.#release, this.held.granted());
  }

  /** Waits for a permit. `urgency`: 0 (most) to 7. Throws `Canceled` when the scope is canceled first. */
  acquire(scope?: CancelScope, urgency: number = DEFAULT_URGENCY): Promise<Permit> {
    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));
    const free = this.tryAcquire();
    return free === undefined ? this.#wait(scope, urgency) : Promise.resolve(free);
  }

  #wait(scope: CancelScope | undefined, urgency: number): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const level = this.#line.level(urgency);
      const countsFromMs = this.#nowMs() + urgency * this.#agingMs;
      const waiter: Waiter<Permit> = {
        resolve,
        reject,
        scope,
        level,
        countsFromMs,
        previous: undefined,
        next: undefined,
        subscription: undefined,
      };
      this.#line.add(waiter);
      waiter.subscription = scope?.onCancel((cause) => {
        this.#line.remove(waiter);
        reject(new Canceled(cause));
      });
    });
  }

  readonly #release = (sinceMs: number): void => {
    if (this.#line.length === 0 && sinceMs === UNMEASURED) {
      this.#inUse--;
      return;
    }
    const nowMs = this.#nowMs();
    this.held.released(sinceMs, nowMs);
    this.#handOn(nowMs);
  };

  #handOn(nowMs: number): void {
    for (let next = this.#inUse > this.#limit ? undefined : this.#line.first(); next !== undefined; next = this.#line.first()) {
      this.#line.remove(next);
      next.subscription?.unsubscribe();
      if (this.#isHopeless(next, nowMs)) {
        // Whatever else its scope does stops now and not at the deadline: without this permit nothing comes of it.
        next.scope?.cancel("deadline");
        // It may have been canceled already, or another cause may have been first.
        next.reject(new Canceled(next.scope?.cause ?? "deadline"));
        continue;
      }
      // The permit changes hands without becoming free in between, so nobody can overtake.
      const granted = next;
      void GRANTED.then(() => this.#accept(granted, nowMs));
      return;
    }
    this.#inUse--;
  }

  #isHopeless({ scope }: Waiter<Permit>, nowMs: number): boolean {
    const deadlineMs = scope?.deadlineMs;
    return this.#endsHopelessWaits && deadlineMs !== undefined && nowMs + this.held.shortestMs > deadlineMs;
  }

  #accept({ resolve, reject, scope }: Waiter<Permit>, sinceMs: number): void {
    // Between the grant and this turn the scope may have been canceled (rule 4). That is no hold to learn from.
    if (scope?.cause === undefined) {
      resolve(new Permit(this.#release, sinceMs));
    } else {
      this.#release(UNMEASURED);
      reject(new Canceled(scope.cause));
    }
  }
}

// A turn of the microtask queue between the grant and its acceptance. Made at the grant, so that a waiter holds one promise only.
const GRANTED = Promise.resolve();

/** One unit of a `Capacity`. Give it back with `using` or `release()`; doing both, or twice, throws. */
export class Permit {
  #giveBack: ((sinceMs: number) => void) | undefined;
  readonly #sinceMs: number;

  /** `sinceMs` is given back with it: when it was granted, or `UNMEASURED`. */
  constructor(giveBack: (sinceMs: number) => void, sinceMs: number) {
    this.#giveBack = giveBack;
    this.#sinceMs = sinceMs;
  }

  release(): void {
    const giveBack = this.#giveBack;
    if (giveBack === undefined) throw new Error("permit released twice");
    this.#giveBack = undefined;
    giveBack(this.#sinceMs);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
