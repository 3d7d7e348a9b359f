import type { ChildOutcome, GroupResult } from "../../src/threads/index.ts";
import type { Cause } from "./causes.ts";

export interface Reply {
  readonly from: number;
  readonly bad: boolean;
}

/** What a task's promise settles to; `cause` is a task that obeyed a cancel. */
export type End = { readonly value: Reply } | { readonly error: Error } | { readonly cause: Cause };

interface ModelTask {
  /** Whether it ends by itself when its group is canceled. */
  readonly obeys: boolean;
  end: End | undefined;
  outcome: ChildOutcome<Reply, Cause> | undefined;
}

/** What a `TaskGroup` should do; `turn` runs the microtasks that are due, and those they make wait for the next one. */
export class TaskGroupModel {
  cause: Cause | undefined;
  result: GroupResult<Reply, Cause> | undefined;
  joined = false;
  readonly tasks: ModelTask[] = [];
  readonly #met: Set<string>;
  #due: ModelTask[] = [];
  #firstFailure: number | undefined;

  constructor(canceled: Cause | undefined, met: Set<string>) {
    this.cause = canceled;
    this.#met = met;
  }

  get running(): number {
    return this.tasks.filter(({ outcome }) => outcome === undefined).length;
  }

  get hasDue(): boolean {
    return this.#due.length > 0;
  }

  get listeners(): number {
    return this.cause === undefined ? this.tasks.filter(({ obeys, end }) => obeys && end === undefined).length : 0;
  }

  /** Indexes of the tasks that a command can still end. */
  get open(): number[] {
    return [...this.tasks.keys()].filter((index) => this.tasks[index]?.end === undefined);
  }

  /** Returns whether the task starts; `thrown` when it throws before it has a promise. */
  spawn(obeys: boolean, thrown: Error | undefined): boolean {
    const cause = this.cause;
    if (cause !== undefined) {
      this.#met.add("canceled before start");
      this.tasks.push({ obeys, end: { cause }, outcome: { status: "canceled", cause } });
      return false;
    }
    const task: ModelTask = { obeys, end: thrown && { error: thrown }, outcome: undefined };
    this.tasks.push(task);
    if (thrown !== undefined) this.#finish(task, { error: thrown });
    return true;
  }

  settle(index: number, end: End): void {
    const task = this.tasks[index];
    if (task === undefined || task.end !== undefined) throw new Error(`task ${index} cannot be ended`);
    task.end = end;
    this.#due.push(task);
  }

  cancel(cause: Cause): boolean {
    if (this.cause !== undefined) return false;
    this.#met.add(`canceled by ${cause}`);
    this.cause = cause;
    for (const index of this.open) if (this.tasks[index]?.obeys === true) this.settle(index, { cause });
    return true;
  }

  join(): void {
    if (this.joined) return;
    this.joined = true;
    if (this.running === 0) this.#leave();
  }

  turn(): void {
    const due = this.#due;
    this.#due = [];
    for (const task of due) if (task.end !== undefined) this.#finish(task, task.end);
  }

  #finish(task: ModelTask, end: End): void {
    const index = this.tasks.indexOf(task);
    if ("cause" in end) task.outcome = { status: "canceled", cause: end.cause };
    else if ("error" in end) task.outcome = { status: "failed", error: end.error };
    else task.outcome = { status: "ok", value: end.value };
    if ("error" in end) this.#fail(index, "thrown");
    else if ("value" in end && end.value.bad) this.#fail(index, "data");
    else if ("value" in end && this.cause !== undefined) this.#met.add("ok after the cancel");
    if (this.joined && this.running === 0) this.#leave();
  }

  #fail(index: number, how: string): void {
    this.#met.add(this.#firstFailure === undefined ? `first failure ${how}` : `later failure ${how}`);
    if (this.#firstFailure === undefined && this.cause !== undefined) this.#met.add("first failure after the cancel");
    this.#firstFailure ??= index;
    this.cancel("sibling_failed");
  }

  #leave(): void {
    const outcomes = this.tasks.flatMap(({ outcome }) => outcome ?? []);
    this.result = { outcomes, firstFailure: this.#firstFailure, cause: this.cause };
  }
}
