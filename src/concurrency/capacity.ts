import { Canceled } from "./cancel-cause.ts";
import type { CancelScope, Subscription } from "./cancel-scope.ts";
import { monotonicMs } from "./clock.ts";
import { HoldTime } from "./hold-time.ts";
import { DEFAULT_URGENCY, URGENCIES } from "./urgency.ts";

export interface CapacityOptions {
  /**
   * How much longer than one of the next higher urgency a waiter may have to wait, in milliseconds: among waiters it counts as if it
   * had come so much later for each level. So nobody starves: who came 7 times as much later overtakes nobody.
   */
  readonly agingMs?: number;
  /**
   * Ends a wait, and cancels its scope with `deadline`, where a permit comes so late that even the shortest hold of late would
   * miss the scope's deadline. For holders that the deadline stops too.
   */
  readonly endsHopelessWaits?: boolean;
  /** On the clock of `monotonicMs`, which deadlines are on. */
  readonly nowMs?: () => number;
}

/** What can be seen of a capacity from outside: how full it is, and how long its permits are held. */
export interface CapacityView {
  readonly limit: number;
  readonly inUse: number;
  readonly waiting: number;
  readonly holdMs: number | undefined;
  readonly firstHeldForMs: number;
}

// Against a deadline of 2 s: an urgent waiter gets past most of a line, and the last wait 0.35 s longer for it.
const AGING_MS = 50;
// Reading the clock costs more than the rest of a grant; while nobody waits, some grants tell as much as all.
const MEASURED_GRANTS = 4;
const UNMEASURED = -1;

/**
 * A bounded number of permits, granted by urgency and, within one urgency, first come first served; waiters can be
 * canceled (Trio's CapacityLimiter; the rules of a grant that meets a cancel are those of Go's x/sync semaphore).
 * Main thread only, one event loop: no waiter holds an OS thread.
 *
 * Rules:
 * 1. `inUse` never exceeds `limit`.
 * 2. A newcomer overtakes no waiter of its urgency or a higher one, and one of a lower urgency only while that has waited less
 *    than `agingMs` for each level between them.
 * 3. Canceled first: the wait fails even if a permit is free.
 * 4. Granted first, canceled before the waiter ran again: the permit goes to the next waiter and the wait fails.
 * 5. A permit is released exactly once.
 * 6. With `endsHopelessWaits` no permit goes to a waiter that is sure to miss its deadline.
 */
export class Capacity implements CapacityView {
  readonly #agingMs: number;
  readonly #endsHopelessWaits: boolean;
  readonly #nowMs: () => number;
  readonly #limit: number;
  readonly #held = new HoldTime();
  // One a level of urgency, made when somebody first waits there: mostly one.
  readonly #lines: Line[] = [];
  #inUse = 0;
  #waiting = 0;
  #grants = 0;
  #firstGrantMs = 0;

  /** `limit`: a whole number, 1 or more. Throws RangeError otherwise. */
  constructor(limit: number, { agingMs = AGING_MS, endsHopelessWaits = false, nowMs = monotonicMs }: CapacityOptions = {}) {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`capacity must be a whole number from 1, not ${limit}`);
    this.#limit = limit;
    this.#agingMs = agingMs;
    this.#endsHopelessWaits = endsHopelessWaits;
    this.#nowMs = nowMs;
  }

  get limit(): number {
    return this.#limit;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** How long a permit is held, a moving average; undefined before the first one that was measured came back. */
  get holdMs(): number | undefined {
    return this.#held.averageMs;
  }

  /** How long the very first permit has been held, while `holdMs` is not known; 0 before it was granted. */
  get firstHeldForMs(): number {
    return this.#grants === 0 ? 0 : this.#nowMs() - this.#firstGrantMs;
  }

  /** A permit if one is free and nobody waits for it, else undefined. Never waits. */
  tryAcquire(): Permit | undefined {
    if (this.#waiting > 0 || this.#inUse >= this.#limit) return undefined;
    this.#inUse++;
    const sinceMs = this.#grants % MEASURED_GRANTS === 0 ? this.#nowMs() : UNMEASURED;
    if (this.#grants++ === 0) this.#firstGrantMs = sinceMs;
    return new Permit(this.#release, sinceMs);
  }

  /** Waits for a permit. `urgency`: 0 (most) to 7. Throws `Canceled` when the scope is canceled first. */
  acquire(scope?: CancelScope, urgency: number = DEFAULT_URGENCY): Promise<Permit> {
    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));
    const free = this.tryAcquire();
    return free === undefined ? this.#enqueue(scope, urgency) : Promise.resolve(free);
  }

  #enqueue(scope: CancelScope | undefined, urgency: number): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const line = this.#line(urgency);
      const countsFromMs = this.#nowMs() + urgency * this.#agingMs;
      const waiter: Waiter = { resolve, reject, scope, line, countsFromMs, previous: line.tail, next: undefined, subscription: undefined };
      if (line.tail === undefined) line.head = waiter;
      else line.tail.next = waiter;
      line.tail = waiter;
      this.#waiting++;
      waiter.subscription = scope?.onCancel((cause) => {
        this.#unlink(waiter);
        reject(new Canceled(cause));
      });
    });
  }

  #line(urgency: number): Line {
    for (const line of this.#lines) if (line.urgency === urgency) return line;
    if (!Number.isInteger(urgency) || urgency < 0 || urgency >= URGENCIES) throw new RangeError(`urgency must be 0 to 7, not ${urgency}`);
    const line: Line = { urgency, head: undefined, tail: undefined };
    this.#lines.push(line);
    this.#lines.sort((a, b) => a.urgency - b.urgency);
    return line;
  }

  #unlink(waiter: Waiter): void {
    const { line } = waiter;
    if (waiter.previous === undefined) line.head = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) line.tail = waiter.previous;
    else waiter.next.previous = waiter.previous;
    this.#waiting--;
  }

  readonly #release = (sinceMs: number): void => {
    if (this.#waiting === 0 && sinceMs === UNMEASURED) {
      this.#inUse--;
      return;
    }
    const nowMs = this.#nowMs();
    if (sinceMs !== UNMEASURED) this.#held.add(nowMs - sinceMs);
    this.#handOn(nowMs);
  };

  #handOn(nowMs: number): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#unlink(next);
      next.subscription?.unsubscribe();
      if (this.#isHopeless(next, nowMs)) {
        // Its siblings stop now and not at the deadline: they are in vain too.
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

  #next(): Waiter | undefined {
    let first: Waiter | undefined;
    for (const { head } of this.#lines) {
      if (head !== undefined && (first === undefined || head.countsFromMs < first.countsFromMs)) first = head;
    }
    return first;
  }

  #isHopeless({ scope }: Waiter, nowMs: number): boolean {
    const deadlineMs = scope?.deadlineMs;
    return this.#endsHopelessWaits && deadlineMs !== undefined && nowMs + this.#held.shortestMs > deadlineMs;
  }

  #accept({ resolve, reject, scope }: Waiter, sinceMs: number): void {
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

/**
 * The waiters of one urgency. A linked list because a cancel takes a waiter out of the middle: with 10 000 waiting, a search
 * in an array for each of them would be quadratic exactly when a deadline cancels them all.
 */
interface Line {
  readonly urgency: number;
  head: Waiter | undefined;
  tail: Waiter | undefined;
}

interface Waiter {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: Canceled) => void;
  readonly scope: CancelScope | undefined;
  readonly line: Line;
  /** When it came, and later for each level of urgency: the lowest goes first. */
  readonly countsFromMs: number;
  previous: Waiter | undefined;
  next: Waiter | undefined;
  subscription: Subscription | undefined;
}

/** One unit of a `Capacity`. Give it back with `using` or `release()`; doing both, or twice, throws. */
export class Permit {
  #giveBack: ((sinceMs: number) => void) | undefined;
  readonly #sinceMs: number;

  /** `sinceMs` is given back with it: when it was granted, or that nobody looked. */
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
