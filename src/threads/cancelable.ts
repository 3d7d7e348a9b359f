import { Canceled, textOf } from "./canceled.ts";

export interface Subscription {
  /** Ends the subscription. Has no effect a second time, or after the cancel. */
  unsubscribe(): void;
}

type Listener<Cause extends string> = (cause: Cause) => void;

const OVER: Subscription = { unsubscribe() {} };

// Gives `Listening` access to a private method of what it listens to.
let remove: (cancelable: Cancelable<never>, own: Listening) => void;

/** Told of every listener that throws. A thread tells its main thread; elsewhere it becomes a warning of the process. */
let listenerFault = (error: unknown): void => process.emitWarning(`a cancel listener threw: ${textOf(error)}`);

/** Any thread, once. */
export function onListenerFault(report: (error: unknown) => void): void {
  listenerFault = report;
}

/**
 * What can be canceled, once, and notifies who listens: a `CancelScope`, the context of a task. One thread.
 *
 * Rejected: an `AbortController` for each with `AbortSignal.any` for parents. Plain callbacks are several times cheaper, tests can count
 * them, and composites are held by their sources until they fire.
 */
export class Cancelable<Cause extends string = string> {
  #cause: Cause | undefined;
  // A list linked through its entries: most have one or two listeners, and ten thousand tasks may wait at one time.
  #first: Listening | undefined;
  #last: Listening | undefined;
  #controller: AbortController | undefined;

  static {
    remove = (cancelable, own) => cancelable.#remove(own);
  }

  /** The cause once canceled, else undefined. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** How many listeners are subscribed: leak tests demand exactly zero after the work. */
  get listenerCount(): number {
    let count = 0;
    for (let each = this.#first; each !== undefined; each = each.next) count++;
    return count;
  }

  /** For `fetch` and whatever else takes a signal: aborted at the cancel, its reason a `Canceled`. Made on first use. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cause !== undefined) this.#controller.abort(new Canceled(this.#cause));
    }
    return this.#controller.signal;
  }

  /** Calls `listener` once with the cause: at the cancel, or at once when that has already happened. Cheaper than `signal`. */
  onCancel(listener: Listener<Cause>): Subscription {
    if (this.#cause !== undefined) {
      call(listener as Listener<string>, this.#cause);
      return OVER;
    }
    const own = new Listening(this as unknown as Cancelable<never>, listener as Listener<string>, this.#last);
    if (this.#last === undefined) this.#first = own;
    else this.#last.next = own;
    this.#last = own;
    return own;
  }

  /** Throws `Canceled` once canceled. Call it in a `catch`: what fails after the cancel failed because of it. */
  throwIfCanceled(): void {
    if (this.#cause !== undefined) throw new Canceled(this.#cause);
  }

  /** The first cause stays. Listeners run before this returns, in the order they subscribed, each once. */
  protected latch(cause: Cause): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    // Always the first that is left: a listener may unsubscribe a later one (a release in here grants a waiter of this scope).
    for (let next = this.#first; next !== undefined; next = this.#first) {
      next.unsubscribe();
      call(next.listener, cause);
    }
    this.#controller?.abort(new Canceled(cause));
  }

  #remove(own: Listening): void {
    const { previous, next } = own;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // Whoever keeps his subscription must not hold all those that came after him.
    own.previous = undefined;
    own.next = undefined;
  }
}

/** Those behind a listener that throws have to hear of the cancel too. */
function call(listener: Listener<string>, cause: string): void {
  try {
    listener(cause);
  } catch (error) {
    listenerFault(error);
  }
}

/** An entry of the list, and its listener's subscription: one object, where a closure would cost two more. */
class Listening implements Subscription {
  readonly listener: Listener<string>;
  previous: Listening | undefined;
  next: Listening | undefined;
  #cancelable: Cancelable<never> | undefined;

  constructor(cancelable: Cancelable<never>, listener: Listener<string>, previous: Listening | undefined) {
    this.#cancelable = cancelable;
    this.listener = listener;
    this.previous = previous;
  }

  unsubscribe(): void {
    const cancelable = this.#cancelable;
    if (cancelable === undefined) return;
    this.#cancelable = undefined;
    remove(cancelable, this);
  }
}
