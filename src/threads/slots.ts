import type { CancelBoard } from "./cancel-board.ts";

/** Hands out the slots of the cancel board. Main thread only. */
export class Slots {
  readonly #board: CancelBoard;
  readonly #free: number[];
  readonly #count: number;

  constructor(board: CancelBoard, count: number) {
    this.#board = board;
    this.#count = count;
    // Highest first, so that pop() starts at slot 0 and a small load stays on few cache lines.
    this.#free = Array.from({ length: count }, (_, n) => count - 1 - n);
  }

  get inUse(): number {
    return this.#count - this.#free.length;
  }

  /** A slot whose present generation nobody has canceled. Throws when none is free: admission keeps that from happening. */
  take(): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error(`cancel board is full: ${this.#count} groups of steps are open`);
    return slot;
  }

  /** Only when every step of the group has settled; once for each `take`. */
  giveBack(slot: number): void {
    this.#board.renew(slot);
    this.#free.push(slot);
  }
}
