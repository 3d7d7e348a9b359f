import { textOf } from "./canceled.ts";
import { Chain } from "./chain.ts";
import { type DispatchedTask, keyOf, QUEUED } from "./dispatched-task.ts";
import { failed, neverRan, Refused } from "./outcome.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import type { PoolThreads } from "./pool-threads.ts";
import { fromPosted, OUTCOME_STRIDE, type OutcomeMessage, type TaskMessage } from "./protocol.ts";
import type { GroupParts } from "./slot-group.ts";
import type { Tracker } from "./tracker.ts";

export interface DispatcherOptions extends Pick<GroupParts, "board" | "table"> {
  readonly tracker: Tracker;
  readonly causes: readonly string[];
  readonly maxTasksPerThread: number;
  readonly maxWaiting: number;
}

// Enough for a task to survive an accident of its thread, too few for a task that kills its thread to kill many.
const MAX_LOSSES = 2;

/**
 * Gives tasks to the threads of one pool; those of one event-loop turn go as one message per thread. A task that has no thread yet waits
 * here, where a cancel finds it: in Piscina's queue only an `AbortSignal` would, and a task with a signal may not share a thread.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** Set once, by whoever makes both. */
  threads!: PoolThreads;
  readonly #waiting = new Chain<DispatchedTask>();
  #flushScheduled = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Throws `Refused` where no further task may wait (`elsewhere`: those not here), a RangeError where there are no threads. */
  refuseIfUnable(elsewhere: number): void {
    if (this.threads.isEmpty)
      throw new RangeError(`there are no ${this.threads.name} threads: openThreads was given ${this.threads.name}: 0`);
    const waiting = elsewhere + this.#waiting.length;
    if (waiting >= this.#options.maxWaiting) throw new Refused(`${waiting} tasks wait for a thread, which is the limit`);
  }

  /** Puts a task into the next message to a thread. */
  enqueue(task: DispatchedTask): void {
    this.threads.start();
    this.#queue(task);
  }

  /** To be called when a thread takes tasks again. */
  lookAtWaiting(): void {
    if (this.#flushScheduled || this.#waiting.length === 0) return;
    this.#flushScheduled = true;
    setImmediate(() => this.#flush());
  }

  /** For a canceled task. Has no effect where it does not wait here. */
  dropWaiting(task: DispatchedTask, cause: string): void {
    if (task.messageNumber !== QUEUED || task.settled) return;
    this.#waiting.remove(task);
    task.settle(neverRan(cause));
  }

  /** For a canceled task that ignores its cancel: nobody waits for it any longer, and its permits are free. */
  giveUp(task: DispatchedTask): void {
    const { thread, group } = task;
    const cause = this.#options.board.causeOf(group.slot, group.generation);
    if (thread?.row === undefined || cause === undefined) return;
    if (!this.#hasReceived(thread, task.messageNumber)) {
      // It looks at its group's word before it starts: it never will.
      task.settle(neverRan(cause));
      return;
    }
    this.#options.tracker.giveUp(thread.row);
    thread.givenUpTasks.add(task.key);
    task.settle({ status: "canceled", cause, started: true, stopped: false, progress: undefined });
  }

  close(): void {
    for (let task = this.#waiting.first; task !== undefined; task = this.#waiting.first) {
      this.#waiting.remove(task);
      task.settle(neverRan("closed"));
    }
  }

  #queue(task: DispatchedTask): void {
    task.messageNumber = QUEUED;
    this.#waiting.add(task);
    this.lookAtWaiting();
  }

  #flush(): void {
    this.#flushScheduled = false;
    const messages = new Map<PoolThread, DispatchedTask[]>();
    for (let task = this.#waiting.first; task !== undefined; task = this.#waiting.first) {
      const target = this.#leastBusy() ?? this.threads.faultBelow(1);
      if (target === undefined) break;
      this.#waiting.remove(task);
      const { slot, generation } = task.group;
      const cause = this.#options.board.causeOf(slot, generation);
      if (cause !== undefined) {
        task.settle(neverRan(cause));
        continue;
      }
      if (typeof target === "string") {
        task.settle({ status: "lost", reason: target, started: false });
        continue;
      }
      task.moveTo(target);
      const tasks = messages.get(target);
      // If its thread died of reading it, nothing may be in the same message that the next one would not get to read either.
      if (task.unread > 0) send(target, [task]);
      else if (tasks === undefined) messages.set(target, [task]);
      else tasks.push(task);
    }
    for (const [thread, tasks] of messages) send(thread, tasks);
  }

  #leastBusy(): PoolThread | undefined {
    let best: PoolThread | undefined;
    const most = this.#options.maxTasksPerThread;
    for (const thread of this.threads.all()) {
      if (!thread.takesTasks || thread.inFlight >= most || (most === 1 && thread.givenUp > 0)) continue;
      // One whose loop has not turned for a while is the last choice.
      if (best === undefined || (thread.isStill === best.isStill ? thread.inFlight < best.inFlight : best.isStill)) best = thread;
    }
    return best;
  }

  /** To be called with what a thread has posted. Returns whether all of it could be read. */
  outcomes(thread: PoolThread, message: OutcomeMessage): boolean {
    const { table, tracker, causes } = this.#options;
    let isRead = true;
    for (let at = 0; at < message.length; at += OUTCOME_STRIDE) {
      const [id, slot, generation] = [message[at] as number, message[at + 1] as number, message[at + 2] as number];
      const task = table.find(id, slot, generation);
      const outcome = fromPosted(message[at + 5], causes);
      if (outcome === undefined) isRead = false;
      else if (task?.thread === thread) task.settle(outcome, message[at + 4] as number, message[at + 3] as number);
      // A task that was given up has ended after all, or never began.
      else if (thread.row !== undefined && thread.givenUpTasks.delete(keyOf(id, slot, generation))) {
        tracker.endedLate(thread.row);
        // A thread of the exclusive pool takes the next one only now.
        this.lookAtWaiting();
      }
    }
    return isRead;
  }

  /** To be called when no line of a thread's code runs any more and all its outcomes have been reported. */
  gone(thread: PoolThread, reason: ReplaceReason): void {
    for (const task of this.#options.table.all()) {
      if (task.thread === thread) this.#lost(thread, task, reason);
    }
  }

  #hasReceived({ row }: PoolThread, messageNumber: number): boolean {
    return row !== undefined && this.#options.tracker.hasReceived(row, messageNumber);
  }

  #lost(thread: PoolThread, task: DispatchedTask, reason: ReplaceReason): void {
    const received = this.#hasReceived(thread, task.messageNumber);
    const { slot, generation, cause } = task.group;
    if (cause !== undefined) {
      task.settle({ status: "canceled", cause, started: received, stopped: !received, progress: undefined });
      return;
    }
    const isCanceled = this.#options.board.causeOf(slot, generation) !== undefined;
    // Its message was the next: the thread may have died of reading it, as of an input for which it had no room.
    if (!received && this.#hasReceived(thread, task.messageNumber - 1)) task.unread++;
    const mayRunAgain = received ? task.options?.idempotent === true && task.losses < MAX_LOSSES : task.unread <= MAX_LOSSES;
    if (!isCanceled && mayRunAgain && !this.threads.closing) {
      task.moveTo(undefined);
      if (received) task.losses++;
      this.#queue(task);
      return;
    }
    // A cancel that this thread does not know of comes from a task that failed, whose thread may have died before it notified the others.
    if (isCanceled) this.#options.board.notify(slot);
    task.settle({ status: "lost", reason: `thread ended: ${reason}`, started: received });
  }
}

/** An input that cannot be encoded or cloned fails its task, and none that is sent with it. */
function send(thread: PoolThread, tasks: readonly DispatchedTask[]): void {
  const message: TaskMessage = [];
  const number = thread.sent + 1;
  try {
    for (const task of tasks) task.addTo(message, number);
    thread.send(message);
  } catch (error) {
    if (tasks.length > 1) for (const task of tasks) send(thread, [task]);
    else tasks[0]?.settle(failed(`the input of the task cannot be sent: ${textOf(error, "message")}`, textOf(error, "name")));
  }
}
