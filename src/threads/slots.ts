import type { CancelBoard } from "./cancel-board.ts";
import type { DispatchedStep } from "./dispatched-step.ts";
import type { DispatchedGroup } from "./step-group.ts";

/**
 * The groups of steps that are open, each in a slot of the cancel board. Main thread only.
 *
 * A step is found by its group's slot and its id. No `Map` by id: when its entries come and go, V8 copies it into a new table every few
 * hundred steps and links the old table to the new one. An old table that has reached the old generation, dead or not, keeps all later
 * tables and every step in them alive until the next full collection.
 */
export class Slots {
  /** Ids are unique while the process lives, so a late outcome of a step is never taken for another step's. 0 before the first. */
  lastStepId = 0;
  readonly #board: CancelBoard;
  readonly #groups: (DispatchedGroup | undefined)[];
  readonly #free: number[];

  constructor(board: CancelBoard, count: number) {
    this.#board = board;
    this.#groups = new Array<DispatchedGroup | undefined>(count).fill(undefined);
    // Highest first, so that pop() starts at slot 0 and a small load stays on few cache lines.
    this.#free = Array.from({ length: count }, (_, n) => count - 1 - n);
  }

  get inUse(): number {
    return this.#groups.length - this.#free.length;
  }

  /** A slot whose present generation nobody has canceled. Throws when none is free: admission keeps that from happening. */
  take(group: DispatchedGroup): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error(`cancel board is full: ${this.inUse} groups of steps are open`);
    this.#groups[slot] = group;
    return slot;
  }

  /** To be called once for each `take`, when every step of the group has settled. */
  giveBack(slot: number): void {
    this.#board.renew(slot);
    this.#groups[slot] = undefined;
    this.#free.push(slot);
  }

  /** Undefined for a step that has settled. */
  step(slot: number, id: number): DispatchedStep | undefined {
    return this.#groups[slot]?.step(id);
  }

  /** All dispatched steps that have not settled. */
  unsettled(): DispatchedStep[] {
    return this.#groups.flatMap((group) => group?.unsettled() ?? []);
  }
}
