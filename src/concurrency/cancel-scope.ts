import { type CancelCause, Canceled } from "./cancel-cause.ts";

/** Takes a listener off its scope again. Calling it twice, or after the cancel, does nothing. */
export type Unsubscribe = () => void;

type Listener = (cause: CancelCause) => void;

const NOTHING: Unsubscribe = () => {};

/**
 * One place to cancel from and to be told of it: the first cause wins and stays (Go's
 * `context.WithCancelCause`). Used on one thread only; the cancel board carries it to others.
 *
 * Rejected: an `AbortController` per order with `AbortSignal.any` for parents. Each listener on a
 * signal is an event object and composites are held by their sources until they fire; a plain set
 * of callbacks is several times cheaper and lets tests count what is left on it. The real
 * `AbortSignal` is made only when somebody asks for `signal`.
 */
export class CancelScope {
  #cause: CancelCause | undefined;
  #listeners: Set<Listener> | undefined;
  #controller: AbortController | undefined;

  /** The cause once canceled, else undefined. */
  get cause(): CancelCause | undefined {
    return this.#cause;
  }

  /** How many listeners are subscribed: the leak tests demand exactly zero after an order. */
  get listenerCount(): number {
    return this.#listeners?.size ?? 0;
  }

  /**
   * Cancels with a cause. Listeners run before it returns, in the order they subscribed, each once.
   * Returns whether this call was the first; later causes are ignored.
   */
  cancel(cause: CancelCause): boolean {
    if (this.#cause !== undefined) return false;
    this.#cause = cause;
    const listeners = this.#listeners;
    if (listeners !== undefined) {
      // The set stays in reach: a listener may take a later one off (a release in here grants a waiter of this scope).
      for (const listener of listeners) {
        listeners.delete(listener);
        listener(cause);
      }
      this.#listeners = undefined;
    }
    this.#controller?.abort(new Canceled(cause));
    return true;
  }

  /**
   * Calls `listener` once with the cause: at the cancel, or at once when that has already happened.
   * A listener must not throw: it would keep its later siblings from hearing of the cancel.
   */
  onCancel(listener: Listener): Unsubscribe {
    if (this.#cause !== undefined) {
      listener(this.#cause);
      return NOTHING;
    }
    this.#listeners ??= new Set();
    // Own object per subscription: the same function may be subscribed twice.
    const own: Listener = (cause) => listener(cause);
    this.#listeners.add(own);
    return () => void this.#listeners?.delete(own);
  }

  /** A real `AbortSignal` with a `Canceled` as reason, for `fetch` and whatever else takes one. */
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

  /**
   * Cancels this scope with the parent's cause. A plain `AbortSignal` whose reason names no cause
   * counts as `foreignCause`. Returns how to let go of the parent, which a long-lived parent needs.
   */
  follow(parent: CancelScope | AbortSignal, foreignCause: CancelCause = "client_disconnected"): Unsubscribe {
    if (parent instanceof CancelScope) return parent.onCancel((cause) => void this.cancel(cause));
    const fire = () => void this.cancel(causeOf(parent.reason, foreignCause));
    if (parent.aborted) {
      fire();
      return NOTHING;
    }
    parent.addEventListener("abort", fire, { once: true });
    return () => parent.removeEventListener("abort", fire);
  }

  /** Cancels with `deadline` after `timeoutMs` (0 to 2^31-1). Returns how to stop the timer. */
  cancelAfter(timeoutMs: number): Unsubscribe {
    const timer = setTimeout(() => void this.cancel("deadline"), timeoutMs);
    return () => clearTimeout(timer);
  }
}

function causeOf(reason: unknown, foreign: CancelCause): CancelCause {
  if (reason instanceof Canceled) return reason.causedBy;
  if (reason instanceof DOMException && reason.name === "TimeoutError") return "deadline";
  return foreign;
}
