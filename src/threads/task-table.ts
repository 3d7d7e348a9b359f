import type { DispatchedTask } from "./dispatched-task.ts";

/**
 * All tasks that have not settled, each at a place of its own: its id on the way to a thread and back. Main thread only.
 *
 * A place is given again, so whoever asks names the task's group too. No `Map` by a growing id: when its entries come and go, V8 copies it
 * into a new table every few hundred tasks and links the old table to the new one. An old table that has reached the old generation,
 * dead or not, keeps all later tables and every task in them alive until the next full collection.
 */
export class TaskTable {
  readonly #tasks: (DispatchedTask | undefined)[] = [];
  readonly #free: number[] = [];
  /** Counts the tasks of the process: each knows which one it is. */
  lastSerial = 0;

  get size(): number {
    return this.#tasks.length - this.#free.length;
  }

  /** Returns the task's id, a small number. */
  add(task: DispatchedTask): number {
    const id = this.#free.pop() ?? this.#tasks.length;
    this.#tasks[id] = task;
    return id;
  }

  /** To be called once for each `add`, when the task has settled. */
  remove(id: number): void {
    this.#tasks[id] = undefined;
    this.#free.push(id);
  }

  /** Undefined for a task that has settled. */
  find(id: number, slot: number, generation: number): DispatchedTask | undefined {
    const task = this.#tasks[id];
    return task?.group.slot === slot && task.group.generation === generation ? task : undefined;
  }

  /** In no particular order. */
  unsettled(): DispatchedTask[] {
    return this.#tasks.filter((task) => task !== undefined);
  }
}
