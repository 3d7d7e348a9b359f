import type { CancelBoard } from "../cancel-board.ts";
import { Cancelable } from "../cancelable.ts";
import { ENDED } from "../canceled.ts";
import { monotonicMs } from "../clock.ts";
import { sleep } from "../sleep.ts";
import type { TaskObserver } from "./define-tasks.ts";

/**
 * A task's view of its group: ways to notice the cancel, the first of which tells all others. When the task has ended it is canceled with
 * `ended`: what it left behind (a call, a timer, a loop with checkpoints) stops. Lives on the task's thread.
 */
export class TaskContext<Cause extends string = string> extends Cancelable<Cause> {
  readonly startedAtMs = monotonicMs();
  /** How far the task has got, in its own words; whatever can be cloned. Goes with the outcome of a task that fails or is canceled. */
  progress: unknown = undefined;
  /** What `observe` returned for this task. */
  observer: TaskObserver | undefined = undefined;
  /** For the library: the tasks of the same slot that came to this thread just before and just after. */
  older: TaskContext | undefined = undefined;
  newer: TaskContext | undefined = undefined;
  /** For the library, as what follows. */
  readonly slot: number;
  readonly generation: number;
  readonly #board: CancelBoard;

  constructor(board: CancelBoard, slot: number, generation: number) {
    super();
    this.#board = board;
    this.slot = slot;
    this.generation = generation;
  }

  /** For `fetch` and the like. No event fires in a loop that never awaits, but reading this looks at shared memory as `checkpoint` does. */
  override get signal(): AbortSignal {
    this.look();
    return super.signal;
  }

  /** Resolves after `ms` (0 to 2^31-1) or throws `Canceled` as soon as the task is canceled. */
  sleep(ms: number): Promise<void> {
    this.look();
    return ms <= 0 && this.cause === undefined ? Promise.resolve() : sleep(ms, this);
  }

  /** Throws `Canceled` once canceled: one load from shared memory. For loops that compute: call it at least every millisecond. */
  checkpoint(): void {
    this.look();
    this.throwIfCanceled();
  }

  /** Lets this thread do what else is due, then goes on, or throws `Canceled`. For loops that compute beside other tasks. */
  async yield(): Promise<void> {
    this.checkpoint();
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.checkpoint();
  }

  /** For the library: hears of the cancel, if there is one. */
  look(): void {
    if (this.cause !== undefined) return;
    // A group may be over before a task of it has looked: its thread was held up for longer than the grace.
    const cause = this.#board.heardBy(this.slot, this.generation);
    if (cause !== undefined) this.latch(cause as Cause);
  }

  /** For the library: the task has ended. */
  end(): void {
    this.latch(ENDED as Cause);
  }
}
