import { type CancelCause, Canceled } from "../../src/concurrency/cancel-cause.ts";
import { CancelScope, type Subscription } from "../../src/concurrency/cancel-scope.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import { sleep } from "../../src/concurrency/pause.ts";
import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { LogMessage } from "../../src/threads/protocol.ts";
import type { Tracker } from "../../src/threads/tracker.ts";
import type { StepSpan } from "../telemetry/step-span.ts";
import { threadLog } from "../telemetry/thread-log.ts";

/** What the steps of one thread share. */
export interface ThreadParts {
  readonly board: CancelBoard;
  readonly tracker: Tracker;
  /** This thread's row in the shared memory. */
  readonly row: number;
}

/**
 * A step's view of its order: ways to notice the cancel (`signal`, `onCancel`, `sleep`, `checkpoint`) and a log. Lives on the step's
 * thread. Whatever throws or aborts does so with a `Canceled`. Work that a step leaves behind may go on using it and never takes another
 * order's cancel for its own.
 */
export class StepContext {
  readonly slot: number;
  readonly generation: number;
  /** On the clock of `monotonicMs`. */
  readonly startedAtMs = monotonicMs();
  /** For the thread's cancel watch: the step of the same slot that came to this thread before. */
  older: StepContext | undefined;
  /** To be set before a provider can act. Unless the step then ends ok, it has to be compensated. */
  callUnderWay = false;
  /** Undefined where spans are off or the order is not sampled. */
  span: StepSpan | undefined;
  readonly #scope = new CancelScope();
  readonly #thread: ThreadParts;

  constructor(thread: ThreadParts, slot: number, generation: number) {
    this.#thread = thread;
    this.slot = slot;
    this.generation = generation;
  }

  /** Why this step was canceled, as far as it has been notified; undefined while it was not. */
  get cause(): CancelCause | undefined {
    return this.#scope.cause;
  }

  /** Why the order was canceled, whether or not the step has been notified; undefined while it is not. */
  get orderCause(): CancelCause | undefined {
    return this.#scope.cause ?? this.#thread.board.causeOf(this.slot, this.generation);
  }

  /**
   * An `AbortSignal` for `fetch` and whatever else takes one. Made on first use. Its event does not fire in a loop that never awaits,
   * but reading this property looks at shared memory as `checkpoint` does: the signal of a canceled order is aborted already.
   */
  get signal(): AbortSignal {
    this.#beat();
    this.stopIfCanceled();
    return this.#scope.signal;
  }

  /** Calls `listener`, which must not throw, once: at the cancel, or at once after it. Cheaper than `signal`. */
  onCancel(listener: (cause: CancelCause) => void): Subscription {
    return this.#scope.onCancel(listener);
  }

  /** Throws `Canceled` once the step has been notified. Call it in a `catch`: what fails after the cancel failed because of it. */
  throwIfCanceled(): void {
    this.#scope.throwIfCanceled();
  }

  /** Resolves after `ms` (0 to 2^31-1) or throws `Canceled` as soon as the order is canceled. */
  sleep(ms: number): Promise<void> {
    this.#beat();
    const cause = this.orderCause;
    if (cause !== undefined) return Promise.reject(new Canceled(cause));
    return ms <= 0 ? Promise.resolve() : sleep(ms, this.#scope);
  }

  /**
   * Throws `Canceled` when the order has been canceled. For loops that compute, which no message and no event reaches: call it at least
   * every millisecond. Each call also writes the thread's heartbeat.
   */
  checkpoint(): void {
    this.#beat();
    const cause = this.orderCause;
    if (cause !== undefined) throw new Canceled(cause);
  }

  /** Writes a line to the process's log, with the thread's number. */
  log(level: LogMessage["level"], message: string, fields: LogMessage["fields"] = {}): void {
    threadLog(level, message, fields);
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
