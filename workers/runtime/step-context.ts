import { type CancelCause, Canceled } from "../../src/concurrency/cancel-cause.ts";
import { CancelScope, type Subscription } from "../../src/concurrency/cancel-scope.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import type { Layout } from "../../src/threads/layout.ts";
import type { LogLevel } from "../../src/threads/protocol.ts";
import type { StepSpan } from "./step-span.ts";
import type { ThreadLog } from "./thread-log.ts";

/**
 * A step's view of its order: ways to notice the cancel (`signal`, `onCancel`, `sleep`, `checkpoint`) and a log.
 * Lives on the step's thread. Whatever throws or aborts does so with the same `Canceled`.
 */
export class StepContext {
  readonly #scope = new CancelScope();
  readonly #layout: Layout;
  readonly #row: number;
  readonly slot: number;
  /** When the order will be canceled for its deadline, on the clock of `monotonicMs`; undefined without one. */
  readonly deadlineMs: number | undefined;
  /** On the same clock. */
  readonly startedAtMs = monotonicMs();
  readonly #log: ThreadLog;
  /** For the thread's cancel watch: the step of the same run that came to this thread before. */
  older: StepContext | undefined;
  /** Of this step; undefined where nobody reads it. */
  span: StepSpan | undefined;
  #callUnderWay = false;

  constructor(layout: Layout, row: number, slot: number, deadlineMs: number | undefined, log: ThreadLog) {
    this.#layout = layout;
    this.#row = row;
    this.slot = slot;
    this.deadlineMs = deadlineMs;
    this.#log = log;
  }

  /** Why this step was canceled, as far as it has heard; undefined while it was not. */
  get cause(): CancelCause | undefined {
    return this.#scope.cause;
  }

  /**
   * An `AbortSignal` for `fetch` and whatever else takes one. Made on first use. Its event does not fire in a loop that never awaits,
   * but to read this property looks at shared memory as `checkpoint` does: a signal of a canceled order is aborted already.
   */
  get signal(): AbortSignal {
    this.#layout.beat(this.#row);
    this.stopIfCanceled();
    return this.#scope.signal;
  }

  /** Calls `listener`, which must not throw, once: at the cancel, or at once when that was heard of before. Cheaper than `signal`. */
  onCancel(listener: (cause: CancelCause) => void): Subscription {
    return this.#scope.onCancel(listener);
  }

  /** Throws `Canceled` once listeners have been called: what fails then failed because of the cancel. */
  throwIfCanceled(): void {
    this.#scope.throwIfCanceled();
  }

  /** Resolves after `ms` (0 to 2^31-1) or throws `Canceled` as soon as the order is canceled. */
  sleep(ms: number): Promise<void> {
    this.#layout.beat(this.#row);
    const cause = this.#layout.causeOf(this.slot);
    if (cause !== undefined) return Promise.reject(new Canceled(cause));
    if (ms <= 0) return Promise.resolve();
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        subscription.leave();
        resolve();
      }, ms);
      const subscription = this.#scope.onCancel((canceledFor) => {
        clearTimeout(timer);
        reject(new Canceled(canceledFor));
      });
    });
  }

  /**
   * Throws `Canceled` when the order has been canceled. For loops that compute: call it at least every
   * millisecond. It reads shared memory, because no message and no event reaches a loop that never awaits, and
   * it is also what tells the supervisor that the loop is alive.
   */
  checkpoint(): void {
    this.#layout.beat(this.#row);
    const cause = this.#layout.causeOf(this.slot);
    if (cause !== undefined) throw new Canceled(cause);
  }

  /** Marks that from here on the provider may act, whatever becomes of this step: unless it ends ok, it has to be undone. */
  callStarts(): void {
    this.#callUnderWay = true;
  }

  /** The provider has surely not acted on the call, so there is nothing to undo. */
  callHadNoEffect(): void {
    this.#callUnderWay = false;
  }

  get callUnderWay(): boolean {
    return this.#callUnderWay;
  }

  /** Writes a line to the process's log, with the thread's number. */
  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#log(level, message, fields);
  }

  /** For the thread's cancel watch. */
  stopIfCanceled(): void {
    const cause = this.#layout.causeOf(this.slot);
    if (cause !== undefined) this.#scope.cancel(cause);
  }
}
