import { type CancelCause, Canceled } from "./cancel-cause.ts";
import { monotonicMs } from "./clock.ts";

export interface Subscription {
  /** Ends the subscription. Has no effect a second time, or after the cancel. */
  unsubscribe(): void;
}

/** Decides on the cause where another thread may have canceled the same work, by way of the cancel board. */
export interface CauseArbiter {
  /** The scope is being canceled for `asked`. Returns the cause that counts. Must not throw. */
  decide(asked: CancelCause): CancelCause;
}

type Listener = (cause: CancelCause) => void;

const OVER: Subscription = { unsubscribe() {} };

// Gives `Listening` access to a private method of its scope.
let remove: (scope: CancelScope, own: Listening) => void;

/**
 * Cancels work, and notifies it: the first cause wins and stays (Go's `context.WithCancelCause`). Used on one thread only; the cancel
 * board carries a cancel to others.
 *
 * Rejected: an `AbortController` per order with `AbortSignal.any` for parents. Each listener on a signal is an event object, and
 * composites are held by their sources until they fire; plain callbacks are several times cheaper, and tests can count them.
 */
export class CancelScope {
  #cause: CancelCause | undefined;
  #canceledAtMs: number | undefined;
  // A list linked through its entries: most scopes have one or two listeners. A Set of closures keeps 8 % more of a waiting order
  // (`npm run bench:tricks`).
  #first: Listening | undefined;
  #last: Listening | undefined;
  #controller: AbortController | undefined;
  #deadlineMs: number | undefined;
  #arbiter: CauseArbiter | undefined;

  static {
    remove = (scope, own) => scope.#remove(own);
  }

  /** The earliest deadline of this scope and of those it is linked to, on the clock of `monotonicMs`; undefined without one. */
  get deadlineMs(): number | undefined {
    return this.#deadlineMs;
  }

  /** The cause once canceled, else undefined. */
  get cause(): CancelCause | undefined {
    return this.#cause;
  }

  /** When it was canceled, on the clock of `monotonicMs`; undefined while it is not. */
  get canceledAtMs(): number | undefined {
    return this.#canceledAtMs;
  }

  /** How many listeners are subscribed: the leak tests demand exactly zero after an order. */
  get listenerCount(): number {
    let count = 0;
    for (let each = this.#first; each !== undefined; each = each.next) count++;
    return count;
  }

  /**
   * Cancels with a cause. Listeners run before it returns, in the order they subscribed, each once.
   * Returns whether this call was the first; later causes are ignored. The arbiter may know of an earlier cause.
   */
  cancel(asked: CancelCause): boolean {
    if (this.#cause !== undefined) return false;
    // Read before the arbiter is asked: a step on another thread may stop meanwhile, and no step may stop before its cancel.
    const nowMs = monotonicMs();
    const cause = this.#arbiter?.decide(asked) ?? asked;
    this.#cause = cause;
    this.#canceledAtMs = nowMs;
    // Always the first that is left: a listener may unsubscribe a later one (a release in here grants a waiter of this scope).
    for (let next = this.#first; next !== undefined; next = this.#first) {
      next.unsubscribe();
      next.listener(cause);
    }
    this.#controller?.abort(new Canceled(cause));
    return true;
  }

  /**
   * Sets the arbiter, or takes it away. A scope that has been canceled keeps its cause, and its arbiter is asked at once. Throws where
   * there is another one already.
   */
  decideBy(arbiter: CauseArbiter | undefined): void {
    if (arbiter !== undefined && this.#arbiter !== undefined) throw new Error("a scope has one arbiter: give each its own scope");
    this.#arbiter = arbiter;
    if (this.#cause !== undefined) arbiter?.decide(this.#cause);
  }

  /**
   * Calls `listener` once with the cause: at the cancel, or at once when that has already happened.
   * A listener must not throw: those behind it would not be called.
   */
  onCancel(listener: Listener): Subscription {
    if (this.#cause !== undefined) {
      listener(this.#cause);
      return OVER;
    }
    const own = new Listening(this, listener, this.#last);
    if (this.#last === undefined) this.#first = own;
    else this.#last.next = own;
    this.#last = own;
    return own;
  }

  #remove(own: Listening): void {
    if (own.previous === undefined) this.#first = own.next;
    else own.previous.next = own.next;
    if (own.next === undefined) this.#last = own.previous;
    else own.next.previous = own.previous;
  }

  /** A real `AbortSignal` with a `Canceled` as reason, for whatever takes one. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cause !== undefined) this.#controller.abort(new Canceled(this.#cause));
    }
    return this.#controller.signal;
  }

  /** Throws `Canceled` when the scope has been canceled. */
  throwIfCanceled(): void {
    if (this.#cause !== undefined) throw new Canceled(this.#cause);
  }

  /** Cancels this scope with the parent's cause and takes over its deadline. Unsubscribe where the parent lives longer. */
  link(parent: CancelScope): Subscription {
    if (parent.#deadlineMs !== undefined) this.#noteDeadline(parent.#deadlineMs);
    return parent.onCancel((cause) => void this.cancel(cause));
  }

  /** Cancels with `deadline` after `timeoutMs` (0 to 2^31-1). Returns how to stop the timer. */
  cancelAfter(timeoutMs: number): () => void {
    this.#noteDeadline(monotonicMs() + timeoutMs);
    const timer = setTimeout(() => void this.cancel("deadline"), timeoutMs);
    return () => clearTimeout(timer);
  }

  #noteDeadline(deadlineMs: number): void {
    this.#deadlineMs = this.#deadlineMs === undefined ? deadlineMs : Math.min(this.#deadlineMs, deadlineMs);
  }
}

/** An entry of a scope's list, and its listener's subscription: one object, where a closure would cost two more. */
class Listening implements Subscription {
  readonly listener: Listener;
  previous: Listening | undefined;
  next: Listening | undefined;
  #scope: CancelScope | undefined;

  constructor(scope: CancelScope, listener: Listener, previous: Listening | undefined) {
    this.#scope = scope;
    this.listener = listener;
    this.previous = previous;
  }

  unsubscribe(): void {
    const scope = this.#scope;
    if (scope === undefined) return;
    this.#scope = undefined;
    remove(scope, this);
  }
}
