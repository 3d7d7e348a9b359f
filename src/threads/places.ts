import type { CancelBoard } from "./cancel-board.ts";
import type { DispatchedTask } from "./dispatched-task.ts";
import { Refused } from "./outcome.ts";
import type { SlotGroup } from "./slot-group.ts";

/**
 * Each thing has a place of its own while it is here: a small number, given again afterwards. No `Map` by a growing id: V8 copies it into a
 * new table every few hundred entries, and an old table in the old generation, dead or not, keeps all later ones and their entries alive.
 */
class Places<T> {
  readonly #things: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get inUse(): number {
    return this.#things.length - this.#free.length;
  }

  add(thing: T): number {
    const place = this.#free.pop() ?? this.#things.length;
    this.#things[place] = thing;
    return place;
  }

  /** To be called once for each `add`. */
  remove(place: number): void {
    this.#things[place] = undefined;
    this.#free.push(place);
  }

  at(place: number): T | undefined {
    return this.#things[place];
  }

  all(): T[] {
    return this.#things.filter((thing) => thing !== undefined);
  }
}

/** The groups of tasks that are open, each in a slot of the cancel board. */
export class Slots extends Places<SlotGroup> {
  readonly #board: CancelBoard;
  readonly #count: number;

  constructor(board: CancelBoard, count: number) {
    super();
    this.#board = board;
    this.#count = count;
  }

  /** A slot whose present generation nobody has canceled. Throws `Refused` when none is free. */
  take(group: SlotGroup): number {
    if (this.inUse === this.#count) throw new Refused(`${this.inUse} groups of tasks are open, which is the limit`);
    return this.add(group);
  }

  /** To be called once for each `take`, when every task of the group has settled. */
  giveBack(slot: number): void {
    this.#board.renew(slot);
    this.remove(slot);
  }
}

/** The tasks that have not settled. The place of a task is its id on the way to a thread and back. */
export class TaskTable extends Places<DispatchedTask> {
  /** How many tasks there ever were: each knows which one it is. */
  lastSerial = 0;

  /** A place is given again, so whoever asks names the task's group too. Undefined for a task that has settled. */
  find(id: number, slot: number, generation: number): DispatchedTask | undefined {
    const task = this.at(id);
    return task?.group.slot === slot && task.group.generation === generation ? task : undefined;
  }
}
