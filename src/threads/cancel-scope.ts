import { Cancelable, type Subscription } from "./cancelable.ts";
import { monotonicMs } from "./clock.ts";

/** The longest delay of a timer. Beyond it Node fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Decides on the cause where another thread may have canceled the same work, by way of the cancel board. */
export interface CauseArbiter {
  /** The scope is being canceled for `asked`. Returns the cause that counts. Must not throw. */
  decide(asked: string): string;
}

/** Cancels work, and notifies it: the first cause wins (Go's `context.WithCancelCause`, Trio's `CancelScope`). Used on one thread only. */
export class CancelScope<Cause extends string = string> extends Cancelable<Cause> {
  #canceledAtMs: number | undefined;
  #deadlineMs: number | undefined;
  #arbiter: CauseArbiter | undefined;

  /** The earliest deadline of this scope and of those it is linked to, on the clock of `monotonicMs`; undefined without one. */
  get deadlineMs(): number | undefined {
    return this.#deadlineMs;
  }

  /** When it was canceled, on the clock of `monotonicMs`; undefined while it is not. */
  get canceledAtMs(): number | undefined {
    return this.#canceledAtMs;
  }

  /**
   * Cancels with a cause, unless a task that failed on its thread was first. Listeners run before it returns. Returns whether this call was
   * the first; later causes are ignored.
   */
  cancel(asked: Cause): boolean {
    if (this.#canceledAtMs !== undefined) return false;
    // Read before the arbiter is asked: a task on another thread may stop meanwhile, and no task may stop before its cancel.
    this.#canceledAtMs = monotonicMs();
    this.latch((this.#arbiter?.decide(asked) as Cause | undefined) ?? asked);
    return true;
  }

  /** Sets the arbiter or takes it away. A canceled scope asks it at once and keeps its cause. Throws where there is another one. */
  decideBy(arbiter: CauseArbiter | undefined): void {
    if (arbiter !== undefined && this.#arbiter !== undefined)
      throw new Error("a scope carries one group at a time: give each its own scope");
    this.#arbiter = arbiter;
    if (this.cause !== undefined) arbiter?.decide(this.cause);
  }

  /** Cancels this scope with the parent's cause and takes over its deadline. Unsubscribe where the parent lives longer. */
  link(parent: CancelScope<Cause>): Subscription {
    if (parent.#deadlineMs !== undefined) this.#noteDeadline(parent.#deadlineMs);
    return parent.onCancel((cause) => void this.cancel(cause));
  }

  /** Cancels with `deadline` after `timeoutMs` (0 to 2^31-1, else a RangeError). Returns how to stop the timer. */
  cancelAfter(timeoutMs: number): () => void {
    if (!(timeoutMs >= 0 && timeoutMs <= MAX_TIMER_MS)) throw new RangeError(`timeoutMs must be 0 to ${MAX_TIMER_MS}, not ${timeoutMs}`);
    this.#noteDeadline(monotonicMs() + timeoutMs);
    const timer = setTimeout(() => void this.cancel("deadline" as Cause), timeoutMs);
    return () => clearTimeout(timer);
  }

  #noteDeadline(deadlineMs: number): void {
    this.#deadlineMs = this.#deadlineMs === undefined ? deadlineMs : Math.min(this.#deadlineMs, deadlineMs);
  }
}
