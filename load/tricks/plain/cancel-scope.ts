import type { CancelCause } from "../../../src/orders/cancel-cause.ts";
import { Canceled, monotonicMs } from "../../../src/threads/index.ts";

export interface Subscription {
  unsubscribe(): void;
}

export interface CauseArbiter {
  decide(asked: CancelCause): CancelCause;
}

type Listener = (cause: CancelCause) => void;

const OVER: Subscription = { unsubscribe() {} };

/** `CancelScope` with its listeners in a `Set`. */
export class CancelScope {
  #cause: CancelCause | undefined;
  #canceledAtMs: number | undefined;
  readonly #listeners = new Set<Listener>();
  #controller: AbortController | undefined;
  #deadlineMs: number | undefined;
  #arbiter: CauseArbiter | undefined;

  get deadlineMs(): number | undefined {
    return this.#deadlineMs;
  }

  get cause(): CancelCause | undefined {
    return this.#cause;
  }

  get canceledAtMs(): number | undefined {
    return this.#canceledAtMs;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  cancel(asked: CancelCause): boolean {
    if (this.#cause !== undefined) return false;
    const nowMs = monotonicMs();
    const cause = this.#arbiter?.decide(asked) ?? asked;
    this.#cause = cause;
    this.#canceledAtMs = nowMs;
    for (const listener of this.#listeners) {
      this.#listeners.delete(listener);
      listener(cause);
    }
    this.#controller?.abort(new Canceled(cause));
    return true;
  }

  decideBy(arbiter: CauseArbiter | undefined): void {
    if (arbiter !== undefined && this.#arbiter !== undefined) throw new Error("a scope has one arbiter: give each its own scope");
    this.#arbiter = arbiter;
    if (this.#cause !== undefined) arbiter?.decide(this.#cause);
  }

  onCancel(listener: Listener): Subscription {
    if (this.#cause !== undefined) {
      listener(this.#cause);
      return OVER;
    }
    const own = (cause: CancelCause) => listener(cause);
    this.#listeners.add(own);
    return { unsubscribe: () => void this.#listeners.delete(own) };
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cause !== undefined) this.#controller.abort(new Canceled(this.#cause));
    }
    return this.#controller.signal;
  }

  throwIfCanceled(): void {
    if (this.#cause !== undefined) throw new Canceled(this.#cause);
  }

  link(parent: CancelScope | AbortSignal, foreignCause: CancelCause = "client_disconnected"): Subscription {
    if (parent instanceof CancelScope) {
      if (parent.#deadlineMs !== undefined) this.#noteDeadline(parent.#deadlineMs);
      return parent.onCancel((cause) => void this.cancel(cause));
    }
    const fire = () => void this.cancel(causeOf(parent.reason, foreignCause));
    if (parent.aborted) {
      fire();
      return OVER;
    }
    parent.addEventListener("abort", fire, { once: true });
    return { unsubscribe: () => parent.removeEventListener("abort", fire) };
  }

  cancelAfter(timeoutMs: number): () => void {
    this.#noteDeadline(monotonicMs() + timeoutMs);
    const timer = setTimeout(() => void this.cancel("deadline"), timeoutMs);
    return () => clearTimeout(timer);
  }

  #noteDeadline(deadlineMs: number): void {
    this.#deadlineMs = this.#deadlineMs === undefined ? deadlineMs : Math.min(this.#deadlineMs, deadlineMs);
  }
}

function causeOf(reason: unknown, foreign: CancelCause): CancelCause {
  if (reason instanceof Canceled) return reason.causedBy;
  if (reason instanceof DOMException && reason.name === "TimeoutError") return "deadline";
  return foreign;
}
