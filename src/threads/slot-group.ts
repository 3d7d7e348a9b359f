import { inspect } from "node:util";
import type { CancelBoard } from "./cancel-board.ts";
import type { CancelScope, CauseArbiter } from "./cancel-scope.ts";
import type { RunningTask, TaskRunOptions } from "./dispatched-task.ts";
import { DispatchedTask } from "./dispatched-task.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { GraceWatch } from "./grace-watch.ts";
import { type Ended, neverRan, type Outcome } from "./outcome.ts";
import type { Capacity } from "./permits/capacity.ts";
import { PRIORITIES } from "./permits/fair-queue.ts";
import type { Slots, TaskTable } from "./places.ts";
import type { Codecs } from "./worker/define-tasks.ts";

export interface GroupParts {
  readonly board: CancelBoard;
  readonly slots: Slots;
  readonly table: TaskTable;
  readonly graceWatch: GraceWatch;
  readonly codecs: Codecs | undefined;
  readonly shared: Dispatcher;
  readonly exclusive: Dispatcher;
  /** Has one permit for each thread of the exclusive pool. */
  readonly exclusiveCapacity: Capacity | undefined;
}

/** What the listeners of a task get, and its `ended` resolves with, instead of the `Ended`. Must not throw. */
export type Convert = (ended: Ended, task: RunningTask) => unknown;

/** One group's slot on the board and its dispatched tasks. Main thread only. */
export class SlotGroup implements CauseArbiter {
  readonly slot: number;
  readonly generation: number;
  readonly parts: GroupParts;
  readonly convert: Convert | undefined;
  readonly #scope: CancelScope;
  readonly #priority: number | undefined;
  /** The task dispatched last; the others follow through `older`. */
  #newest: DispatchedTask | undefined;
  #endWatch: (() => void) | undefined;
  #open = 0;
  #closed = false;
  /** A failure on a thread canceled the group first, and neither its outcome nor its thread's death has arrived yet. */
  #failureIsDue = false;
  /** The outcome of a failed task has arrived, or the death of a thread that took one along. */
  #failureHasCome = false;
  /** The outcome of a failed task has arrived. Its thread notified the others before, whether or not its cancel was the first. */
  #failureHasNotified = false;

  constructor(parts: GroupParts, scope: CancelScope, priority?: number, convert?: Convert) {
    if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES)) {
      throw new RangeError(`priority must be 0 to ${PRIORITIES - 1}, not ${priority}`);
    }
    this.parts = parts;
    this.convert = convert;
    this.#scope = scope;
    this.#priority = priority;
    this.slot = parts.slots.take(this);
    this.generation = parts.board.generation(this.slot);
    try {
      scope.decideBy(this);
    } catch (error) {
      parts.slots.giveBack(this.slot);
      throw error;
    }
  }

  /** Why the group was canceled, as far as this thread has been notified, which may be later than the board knows. */
  get cause(): string | undefined {
    return this.#failureIsDue ? undefined : this.#scope.cause;
  }

  cancel(cause: string): void {
    this.#scope.cancel(cause);
  }

  run(name: string, input: unknown, options?: TaskRunOptions): DispatchedTask {
    if (this.#closed) throw new Error("task run in a group that has ended");
    if (options !== undefined) checkOptions(options);
    const dispatcher = this.#dispatcherOf(options);
    const { exclusiveCapacity } = this.parts;
    dispatcher.refuseIfUnable(options?.on === "exclusive" ? (exclusiveCapacity?.waiting ?? 0) : 0);
    const task = new DispatchedTask(this, name, input, options);
    task.older = this.#newest;
    this.#newest = task;
    this.#open++;
    if (this.#scope.cause !== undefined) task.settle(neverRan(this.#scope.cause));
    else if (options?.on !== "exclusive" || exclusiveCapacity === undefined) dispatcher.enqueue(task);
    else void this.#runExclusively(exclusiveCapacity, dispatcher, task);
    return task;
  }

  /** To be called once, when all its tasks have settled; throws before that. */
  close(): void {
    if (this.#closed) throw new Error("group closed twice");
    if (this.#open > 0) throw new Error(`group closed with ${this.#open} of its tasks still running`);
    this.#closed = true;
    this.#scope.decideBy(undefined);
    this.#endWatch?.();
    this.parts.slots.giveBack(this.slot);
  }

  async #runExclusively(capacity: Capacity, dispatcher: Dispatcher, task: DispatchedTask): Promise<void> {
    try {
      // Waits here, not in the pool's line, so that a canceled wait ends at once and its task never runs. A free permit is no wait at all.
      const permit = capacity.tryAcquire(task.name) ?? (await capacity.acquire(this.#scope, this.#priority, task.name));
      task.whenEnded(() => permit.release(this.#scope.cause === "deadline"));
      if (!task.settled) dispatcher.enqueue(task);
    } catch (error) {
      // A canceled wait for an exclusive thread, or threads that do not start.
      if (this.#scope.cause === undefined) task.settle({ status: "lost", reason: String(error), started: false });
      else task.settle(neverRan(this.#scope.cause));
    }
  }

  /** To be called once for each task, before anybody learns the outcome. */
  taskSettled(task: DispatchedTask, outcome: Outcome): void {
    this.#open--;
    if (outcome.status === "failed" && !outcome.keepsSiblings) this.#failureHasNotified = true;
    // The failure that was due, or the death that took it along: the tasks that end from here on are canceled.
    if (outcome.status === "lost" || this.#failureHasNotified) {
      this.#failureHasCome = true;
      this.#failureIsDue = false;
    }
    // A task that failed has set the word, but its thread may have lost its processor before it notified the others.
    if (outcome.status === "canceled" && this.#scope.cause === undefined && this.#open > 1) this.parts.board.notify(this.slot);
    // The exclusive pool may have a task waiting for this thread.
    this.#dispatcherOf(task.options).lookAtWaiting();
  }

  #dispatcherOf(options: TaskRunOptions | undefined): Dispatcher {
    return options?.on === "exclusive" ? this.parts.exclusive : this.parts.shared;
  }

  /** The board decides: a failure on a thread may have been first. Called once, in the scope's cancel. */
  decide(asked: string): string {
    const { board, graceWatch } = this.parts;
    // A parent may have causes that these threads do not know.
    const isFirst = board.cancel(this.slot, this.generation, board.knows(asked) ? asked : "aborted");
    this.#failureIsDue = !isFirst && !this.#failureHasCome && asked !== "sibling_failed";
    // The thread that was first may not have notified the others yet, and their grace begins here.
    if (!isFirst && !this.#failureHasNotified) board.notify(this.slot);
    const cause = isFirst ? asked : (board.causeOf(this.slot, this.generation) ?? asked);
    const tasks = this.unsettled();
    const sent = tasks.filter((task) => task.thread !== undefined);
    if (sent.length > 0) this.#endWatch = graceWatch.watch(sent);
    if (sent.length < tasks.length) setImmediate(() => this.#settleWaiting(tasks, cause));
    return cause;
  }

  /** The tasks that no thread has yet. Not in the cancel itself, where nobody expects a task to end. */
  #settleWaiting(tasks: readonly DispatchedTask[], cause: string): void {
    for (const task of tasks) this.#dispatcherOf(task.options).dropWaiting(task, cause);
  }

  unsettled(): DispatchedTask[] {
    const tasks: DispatchedTask[] = [];
    for (let task = this.#newest; task !== undefined; task = task.older) if (!task.settled) tasks.push(task);
    return tasks.reverse();
  }
}

// On a shared thread by mistake, a task that computes would cost others their thread.
function checkOptions(options: TaskRunOptions): void {
  if (typeof options !== "object") throw new RangeError(`the options of a task must be an object, not ${inspect(options)}`);
  const { on } = options;
  if (on !== undefined && on !== "shared" && on !== "exclusive")
    throw new RangeError(`on must be "shared" or "exclusive", not ${inspect(on)}`);
}
