import type { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { StepContext } from "../steps/step-context.ts";

/**
 * Waits for this thread's bell and notifies its steps of their cancels. One `waitAsync` for the whole thread: a waiter that is never
 * woken cannot be withdrawn, so one a step would pile up.
 *
 * A step registers first and looks at its word afterwards. The look finds a cancel from before the registration, the log shows a later
 * one. So no cancel is missed.
 */
export class CancelWatch {
  readonly #board: CancelBoard;
  readonly #row: number;
  // By slot: the context that came last. It links to the others of that slot.
  readonly #newest: (StepContext | undefined)[] = [];
  #seen: number;

  constructor(board: CancelBoard, row: number) {
    this.#board = board;
    this.#row = row;
    this.#seen = board.head();
    board.acknowledge(row, this.#seen);
  }

  add(context: StepContext): void {
    // Stays short: the board hands out low slots first.
    while (this.#newest.length <= context.slot) this.#newest.push(undefined);
    context.older = this.#newest[context.slot];
    this.#newest[context.slot] = context;
    context.stopIfCanceled();
  }

  /** To be called once for each `add`. */
  remove(context: StepContext): void {
    let newer = this.#newest[context.slot];
    if (newer === context) {
      this.#newest[context.slot] = context.older;
      return;
    }
    while (newer !== undefined && newer.older !== context) newer = newer.older;
    if (newer !== undefined) newer.older = context.older;
  }

  /** Listens for as long as the thread lives. `waitAsync` alone does not keep it alive; its ports do. */
  async listen(): Promise<never> {
    for (let bell = this.#board.bell(this.#row); ; ) {
      await this.#board.bellChanged(this.#row, bell);
      // Before the log (invariant 6 of the board).
      bell = this.#board.bell(this.#row);
      this.#seen = this.#board.readLog(this.#seen, this.look, this.#lookAtAll);
      this.#acknowledgeOnceStopped(this.#seen);
    }
  }

  /**
   * Steps stop in the microtasks that follow, and their outcomes are posted in this turn's check phase. Only after that may
   * the main thread conclude that a step which has not ended ignores its cancel.
   */
  #acknowledgeOnceStopped(head: number): void {
    setImmediate(() => setImmediate(() => this.#board.acknowledge(this.#row, head)));
  }

  /** Cancels the steps on this thread that have this slot, if their group is canceled. */
  readonly look = (slot: number): void => {
    for (let context = this.#newest[slot]; context !== undefined; context = context.older) context.stopIfCanceled();
  };

  readonly #lookAtAll = (): void => {
    for (let slot = 0; slot < this.#newest.length; slot++) this.look(slot);
  };
}
