import { inspect } from "node:util";
import type { CancelScope } from "./cancel-scope.ts";
import { type BuiltInCause, Canceled } from "./canceled.ts";
import type { Task, TaskRunOptions } from "./dispatched-task.ts";
import { neverRan, type Outcome } from "./outcome.ts";
import { type GroupParts, SlotGroup } from "./slot-group.ts";
import { type GroupResult, TaskGroup } from "./task-group.ts";
import type { TaskBody, TaskTable } from "./worker/define-tasks.ts";

export interface GroupOptions<Cause extends string = string> {
  /** Canceled with it, with cause `aborted`; or the cause of the `Canceled` that is the signal's reason, where the threads know it. */
  readonly signal?: AbortSignal | undefined;
  /** 0 to 2^31-1. After that the group is canceled with cause `deadline`. */
  readonly timeoutMs?: number | undefined;
  /** Canceled with it, with the same cause. */
  readonly parent?: ThreadGroup<never, Cause> | CancelScope<Cause> | undefined;
  /** 0 (first) to 2 (last), 1 by default: counts where a task waits for a thread of its own. */
  readonly priority?: number | undefined;
}

/** How a group ended. */
export interface JoinResult<Cause extends string = string, Data = unknown>
  extends Omit<GroupResult<unknown, Cause | BuiltInCause>, "outcomes"> {
  /** In the order in which the tasks were run. */
  readonly outcomes: readonly Outcome<unknown, Cause, Data>[];
}

/** What a task of this name is given, and what it gives. */
export type InputOf<Body extends TaskBody> = Parameters<Body>[0];
export type ValueOf<Body extends TaskBody> = Awaited<ReturnType<Body>>;

/**
 * Tasks that belong together (errgroup's Group, Trio's nursery), on any threads: the first that fails cancels the others. `await using`
 * waits at the end of the block, and cancels what still runs where nobody has called `join`. Main thread.
 */
export class ThreadGroup<Tasks extends TaskTable, Cause extends string = string, Data = unknown> {
  readonly #tasks: TaskGroup<Outcome<unknown, Cause, Data>, Cause | BuiltInCause>;
  readonly #slot: SlotGroup;
  readonly #release: () => void;
  #joined: Promise<JoinResult<Cause, Data>> | undefined;

  /** For `Threads.group`. Throws `Refused` when too many groups are open, RangeError for a bad option. */
  constructor(parts: GroupParts, { signal, timeoutMs, parent, priority }: GroupOptions<Cause>) {
    // Before anything is taken that would have to be given back.
    if (signal && typeof signal.addEventListener !== "function")
      throw new RangeError(`signal must be an AbortSignal, not ${inspect(signal)}`);
    const isFailure = (outcome: Outcome<unknown, Cause, Data>) =>
      outcome.status === "lost" || (outcome.status === "failed" && !outcome.keepsSiblings);
    const scope = parent instanceof ThreadGroup ? parent.scope : (parent as CancelScope<Cause | BuiltInCause> | undefined);
    this.#tasks = new TaskGroup({ isFailure, ...(scope !== undefined && { parent: scope }) });
    let stopTimer: (() => void) | undefined;
    const abort = () => void this.scope.cancel(causeOf(signal?.reason, parts) as BuiltInCause);
    this.#release = () => {
      stopTimer?.();
      signal?.removeEventListener("abort", abort);
    };
    try {
      if (timeoutMs !== undefined) stopTimer = this.scope.cancelAfter(timeoutMs);
      this.#slot = new SlotGroup(parts, this.scope, priority);
    } catch (error) {
      this.#release();
      void this.#tasks.join();
      throw error;
    }
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  }

  /** What is canceled together: for `CancelScope.link`, `sleep` and whatever else the tasks' work needs on this thread. */
  get scope(): CancelScope<Cause | BuiltInCause> {
    return this.#tasks.scope;
  }

  /**
   * Runs a task, in the next message to a thread; in a canceled group never. Throws `Refused` when too many tasks wait, a RangeError where
   * there are no threads of that kind, and an Error after `join`.
   */
  run<Name extends keyof Tasks & string>(
    name: Name,
    input: InputOf<Tasks[Name]>,
    options?: TaskRunOptions,
  ): Task<ValueOf<Tasks[Name]>, Outcome<ValueOf<Tasks[Name]>, Cause, Data>> {
    if (this.#joined !== undefined) throw new Error("run after join: a group is used once");
    const task = this.#slot.run(name, input, options);
    this.#tasks.spawn(() => task.outcome as Promise<Outcome<unknown, Cause, Data>>);
    return task as never;
  }

  /** Cancels all that have not ended. Returns whether it was the first cancel. RangeError for a cause that the threads do not know. */
  cancel(cause: Cause | BuiltInCause): boolean {
    if (!this.#slot.parts.board.knows(cause)) throw new RangeError(`"${cause}" is none of the causes that openThreads was given`);
    return this.scope.cancel(cause);
  }

  /** Resolves when every task has ended. Never rejects. Nothing can be run in the group any more. */
  join(): Promise<JoinResult<Cause, Data>> {
    this.#joined ??= this.#tasks.join().then(({ outcomes, firstFailure, cause }) => {
      this.#release();
      this.#slot.close();
      // Those that are not ok were run after the cancel, so there is a cause: an `outcome` never rejects.
      const own = outcomes.map((outcome) => (outcome.status === "ok" ? outcome.value : neverRan(cause as Cause | BuiltInCause)));
      return { outcomes: own, firstFailure, cause };
    });
    return this.#joined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#joined === undefined) this.cancel("aborted");
    await this.join();
  }
}

/** Why the group of an aborted signal is canceled. Never throws: a listener of the signal that does would end the process. */
function causeOf(reason: unknown, { board }: GroupParts): string {
  try {
    // Another library's threads, or a scope of one's own, may have causes that these threads do not know.
    if (Canceled.is(reason) && board.knows(reason.causedBy)) return reason.causedBy;
  } catch {}
  return "aborted";
}
