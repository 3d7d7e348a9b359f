import { type CancelCause, Canceled } from "../../src/concurrency/cancel-cause.ts";
import { CancelScope, type Subscription } from "../../src/concurrency/cancel-scope.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { LogLevel } from "../../src/threads/protocol.ts";
import type { Tracker } from "../../src/threads/tracker.ts";
import type { StepSpan } from "../telemetry/step-span.ts";
import type { ThreadLog } from "../telemetry/thread-log.ts";

/** What the steps of one thread share. */
export interface ThreadParts {
  readonly board: CancelBoard;
  readonly tracker: Tracker;
  /** This thread's row of both. */
  readonly row: number;
  readonly log: ThreadLog;
}

/**
 * A step's view of its order: ways to notice the cancel (`signal`, `onCancel`, `sleep`, `checkpoint`) and a log.
 * Lives on the step's thread. Whatever throws or aborts does so with the same `Canceled`. Work that a step leaves behind may go on using
 * it: it then knows what the step had heard, and never takes another order's cancel for its own.
 */
export class StepContext {
  readonly slot: number;
  readonly generation: number;
  /** On the clock of `monotonicMs`. */
  readonly startedAtMs = monotonicMs();
  /** For the thread's cancel watch: the step of the same slot that came to this thread before. */
  older: StepContext | undefined;
  /** Of this step; undefined where nobody reads it. */
  span: StepSpan | undefined;
  readonly #scope = new CancelScope();
  readonly #thread: ThreadParts;
  #callUnderWay = false;

  constructor(thread: ThreadParts, slot: number, generation: number) {
    this.#thread = thread;
    this.slot = slot;
    this.generation = generation;
  }

  /** Why this step was canceled, as far as it has heard; undefined while it was not. */
  get cause(): CancelCause | undefined {
    return this.#scope.cause;
  }

  /** Why the order was canceled, whether or not the step has heard of it; undefined while it is not. */
  get orderCause(): CancelCause | undefined {
    return this.#scope.cause ?? this.#thread.board.causeOf(this.slot, this.generation);
  }

  /**
   * An `AbortSignal` for `fetch` and whatever else takes one. Made on first use. Its event does not fire in a loop that never awaits,
   * but to read this property looks at shared memory as `checkpoint` does: a signal of a canceled order is aborted already.
   */
  get signal(): AbortSignal {
    this.#beat();
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
    this.#beat();
    const cause = this.orderCause;
    if (cause !== undefined) return Promise.reject(new Canceled(cause));
    if (ms <= 0) return Promise.resolve();
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        subscription.unsubscribe();
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
    this.#beat();
    const cause = this.orderCause;
    if (cause !== undefined) throw new Canceled(cause);
  }

  /** Marks that from here on the provider may act, whatever becomes of this step: unless it ends ok, it has to be compensated. */
  callStarts(): void {
    this.#callUnderWay = true;
  }

  /** The provider has surely not acted on the call, so there is nothing to compensate. */
  callHadNoEffect(): void {
    this.#callUnderWay = false;
  }

  get callUnderWay(): boolean {
    return this.#callUnderWay;
  }

  /** Writes a line to the process's log, with the thread's number. */
  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#thread.log(level, message, fields);
  }

  /** For the thread's cancel watch. */
  stopIfCanceled(): void {
    const cause = this.orderCause;
    if (cause !== undefined) this.#scope.cancel(cause);
  }

  #beat(): void {
    this.#thread.tracker.beat(this.#thread.row);
  }
}
