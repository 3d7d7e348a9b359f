import type { CancelBoard } from "./cancel-board.ts";
import { Refused } from "./outcome.ts";
import type { SlotGroup } from "./slot-group.ts";

/** The groups of tasks that are open, each in a slot of the cancel board. Main thread only. */
export class Slots {
  readonly #board: CancelBoard;
  readonly #groups: (SlotGroup | undefined)[];
  readonly #free: number[];

  constructor(board: CancelBoard, count: number) {
    this.#board = board;
    this.#groups = new Array<SlotGroup | undefined>(count).fill(undefined);
    // Highest first, so that pop() starts at slot 0 and a small load stays on few cache lines.
    this.#free = Array.from({ length: count }, (_, n) => count - 1 - n);
  }

  get inUse(): number {
    return this.#groups.length - this.#free.length;
  }

  /** A slot whose present generation nobody has canceled. Throws `Refused` when none is free. */
  take(group: SlotGroup): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Refused(`${this.inUse} groups of tasks are open, which is the limit`);
    this.#groups[slot] = group;
    return slot;
  }

  /** To be called once for each `take`, when every task of the group has settled. */
  giveBack(slot: number): void {
    this.#board.renew(slot);
    this.#groups[slot] = undefined;
    this.#free.push(slot);
  }

  open(): SlotGroup[] {
    return this.#groups.filter((group) => group !== undefined);
  }
}
