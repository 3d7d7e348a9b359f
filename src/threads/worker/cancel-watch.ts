import type { CancelBoard } from "../cancel-board.ts";
import type { TaskContext } from "./task-context.ts";

/**
 * Waits for this thread's bell and notifies its tasks of their cancels. One `waitAsync` for the thread: a waiter that is never woken cannot
 * be withdrawn. A task registers first and looks at its word afterwards, so its look or the log shows every cancel.
 */
export class CancelWatch {
  readonly #board: CancelBoard;
  readonly #row: number;
  // By slot: the context that came last. It links to the others of that slot.
  readonly #newest: (TaskContext | undefined)[] = [];
  #seen: number;

  constructor(board: CancelBoard, row: number) {
    this.#board = board;
    this.#row = row;
    this.#seen = board.head();
  }

  add(context: TaskContext): void {
    // Stays short: the board hands out low slots first.
    while (this.#newest.length <= context.slot) this.#newest.push(undefined);
    const before = this.#newest[context.slot];
    context.older = before;
    if (before !== undefined) before.newer = context;
    this.#newest[context.slot] = context;
    context.look();
  }

  /** To be called once for each `add`. A group may have thousands of tasks on a thread, so nothing is searched. */
  remove(context: TaskContext): void {
    const { slot, older, newer } = context;
    if (newer === undefined) this.#newest[slot] = older;
    else newer.older = older;
    if (older !== undefined) older.newer = newer;
    // What a task left behind may hold its context for long, and must not hold those of all tasks that came after it.
    context.older = undefined;
    context.newer = undefined;
  }

  /** Listens for as long as the thread lives. `waitAsync` alone does not keep it alive; its ports do. */
  async listen(): Promise<never> {
    for (let bell = this.#board.bell(this.#row); ; ) {
      await this.#board.bellChanged(this.#row, bell);
      // Before the log (invariant 6 of the board).
      bell = this.#board.bell(this.#row);
      this.catchUp();
    }
  }

  /** Reads what is new in the log. Also to be called now and then: a thread that runs nothing gets no bell, and must not fall far behind. */
  catchUp(): void {
    this.#seen = this.#board.readLog(this.#seen, this.look, this.#lookAtAll);
  }

  /** Cancels the tasks on this thread that have this slot, if their group is canceled. */
  readonly look = (slot: number): void => {
    for (let context = this.#newest[slot]; context !== undefined; context = context.older) context.look();
  };

  readonly #lookAtAll = (): void => {
    for (let slot = 0; slot < this.#newest.length; slot++) this.look(slot);
  };
}
