import { Canceled } from "./cancel-cause.ts";
import type { CancelScope, Subscription } from "./cancel-scope.ts";

/**
 * A bounded number of permits, granted first come first served, whose waiters can be canceled
 * (Trio's CapacityLimiter; the rules of a grant that meets a cancel are those of Go's x/sync
 * semaphore). Main thread only, one event loop: no waiter holds an OS thread.
 *
 * Rules: 1. `inUse` never exceeds `limit`. 2. A newcomer never overtakes a waiter. 3. Canceled
 * first: the wait fails even if a permit is free. 4. Granted first, canceled before the waiter ran
 * again: the permit goes to the next waiter and the wait fails. 5. A permit is released exactly once.
 */
export class Capacity {
  #limit: number;
  #inUse = 0;
  #waiting = 0;
  // A linked list because a cancel takes a waiter out of the middle: with 10 000 waiting, a search
  // in an array for each of them would be quadratic exactly when a deadline cancels them all.
  #head: Waiter | undefined;
  #tail: Waiter | undefined;

  /** `limit`: a whole number, 1 or more. Throws RangeError otherwise. */
  constructor(limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`capacity must be a whole number from 1, not ${limit}`);
    this.#limit = limit;
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

  /** A permit if one is free and nobody waits for it, else undefined. Never waits. */
  tryAcquire(): Permit | undefined {
    if (this.#head !== undefined || this.#inUse >= this.#limit) return undefined;
    this.#inUse++;
    return new Permit(this.#release);
  }

  /** Waits for a permit, in order of arrival. Throws `Canceled` when the scope is canceled first. */
  acquire(scope?: CancelScope): Promise<Permit> {
    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));
    const free = this.tryAcquire();
    return free === undefined ? this.#enqueue(scope) : Promise.resolve(free);
  }

  #enqueue(scope: CancelScope | undefined): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject, scope, previous: this.#tail, next: undefined, subscription: undefined };
      if (this.#tail === undefined) this.#head = waiter;
      else this.#tail.next = waiter;
      this.#tail = waiter;
      this.#waiting++;
      waiter.subscription = scope?.onCancel((cause) => {
        this.#unlink(waiter);
        reject(new Canceled(cause));
      });
    });
  }

  #unlink(waiter: Waiter): void {
    if (waiter.previous === undefined) this.#head = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) this.#tail = waiter.previous;
    else waiter.next.previous = waiter.previous;
    this.#waiting--;
  }

  readonly #release = (): void => {
    const next = this.#head;
    if (next === undefined) {
      this.#inUse--;
      return;
    }
    // The permit changes hands without becoming free in between, so nobody can overtake.
    this.#unlink(next);
    next.subscription?.leave();
    void GRANTED.then(() => this.#accept(next));
  };

  #accept({ resolve, reject, scope }: Waiter): void {
    const permit = new Permit(this.#release);
    // Between the grant and this turn the scope may have been canceled (rule 4).
    if (scope?.cause === undefined) {
      resolve(permit);
    } else {
      permit.release();
      reject(new Canceled(scope.cause));
    }
  }
}

// A turn of the microtask queue between the grant and its acceptance. Made at the grant, so that a waiter holds one promise only.
const GRANTED = Promise.resolve();

interface Waiter {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: Canceled) => void;
  readonly scope: CancelScope | undefined;
  previous: Waiter | undefined;
  next: Waiter | undefined;
  subscription: Subscription | undefined;
}

/** One unit of a `Capacity`. Give it back with `using` or `release()`; doing both, or twice, throws. */
export class Permit {
  #giveBack: (() => void) | undefined;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  release(): void {
    const giveBack = this.#giveBack;
    if (giveBack === undefined) throw new Error("permit released twice");
    this.#giveBack = undefined;
    giveBack();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
