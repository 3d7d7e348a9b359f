import { CancelScope } from "./cancel-scope.ts";
import type { Subscription } from "./cancelable.ts";
import { Canceled } from "./canceled.ts";

export type ChildOutcome<T, Cause extends string = string> =
  | { readonly status: "ok"; readonly value: T }
  | { readonly status: "failed"; readonly error: unknown }
  | { readonly status: "canceled"; readonly cause: Cause };

export interface GroupResult<T, Cause extends string = string> {
  /** In the order of spawning. */
  readonly outcomes: readonly ChildOutcome<T, Cause>[];
  /** Index into `outcomes` of the task whose failure came first; undefined when none failed. */
  readonly firstFailure: number | undefined;
  /** Why the group was canceled; undefined when it was not. */
  readonly cause: Cause | undefined;
}

export interface TaskGroupOptions<T, Cause extends string = string> {
  /** Canceling this cancels the group, with the same cause. */
  readonly parent?: CancelScope<Cause>;
  /** For failures that are data: whether a returned value is one. Its task ends `ok`, and cancels its siblings. Must not throw. */
  readonly isFailure?: (value: T) => boolean;
  /** Called with the index of each task that was started, when it has ended and before its siblings are canceled. Must not throw. */
  readonly onTaskEnded?: (index: number) => void;
}

/**
 * Owns the tasks spawned in it and ends after the last of them (errgroup's Group, Trio's nursery). The first failure cancels the others
 * with `sibling_failed`; `Promise.all` would return with them still running. One thread, one use.
 */
export class TaskGroup<T, Cause extends string = string> {
  readonly scope = new CancelScope<Cause>();
  // Filled as tasks end, so that a group whose tasks all wait holds nothing in it.
  readonly #outcomes: ChildOutcome<T, Cause>[] = [];
  readonly #isFailure: ((value: T) => boolean) | undefined;
  readonly #onTaskEnded: ((index: number) => void) | undefined;
  readonly #parent: Subscription | undefined;
  #spawned = 0;
  #running = 0;
  #firstFailure: number | undefined;
  #joined: Promise<GroupResult<T, Cause>> | undefined;
  #allEnded: ((result: GroupResult<T, Cause>) => void) | undefined;

  constructor({ parent, isFailure, onTaskEnded }: TaskGroupOptions<T, Cause> = {}) {
    this.#isFailure = isFailure;
    this.#onTaskEnded = onTaskEnded;
    if (parent !== undefined) this.#parent = this.scope.link(parent);
  }

  /**
   * Starts a task at once, but none in a canceled group. It ends `ok` with its value, `canceled` when it throws a `Canceled` after the
   * group was canceled, else `failed`. Throws after `join`.
   */
  spawn(task: (scope: CancelScope<Cause>, index: number) => Promise<T>): void {
    if (this.#joined !== undefined) throw new Error("spawn after join: a task group is used once");
    const index = this.#spawned++;
    if (this.scope.cause !== undefined) {
      this.#outcomes[index] = { status: "canceled", cause: this.scope.cause };
      return;
    }
    this.#running++;
    try {
      task(this.scope, index).then(
        (value) => this.#ended(index, { status: "ok", value }, this.#isFailure?.(value) === true),
        (error: unknown) => this.#failed(index, error),
      );
    } catch (error) {
      // Also where it gives no promise: the group would never end.
      this.#failed(index, error);
    }
  }

  /** Waits until every task has ended. Never rejects. A second call gives the same result. */
  join(): Promise<GroupResult<T, Cause>> {
    this.#joined ??= this.#running === 0 ? Promise.resolve(this.#end()) : new Promise((resolve) => (this.#allEnded = resolve));
    return this.#joined;
  }

  #end(): GroupResult<T, Cause> {
    this.#parent?.unsubscribe();
    return { outcomes: this.#outcomes, firstFailure: this.#firstFailure, cause: this.scope.cause };
  }

  #failed(index: number, error: unknown): void {
    // A `Canceled` of some inner scope must not let a task end without a result and without a failure.
    const isCanceled = Canceled.is(error) && this.scope.cause !== undefined;
    this.#ended(index, isCanceled ? { status: "canceled", cause: error.causedBy as Cause } : { status: "failed", error }, !isCanceled);
  }

  #ended(index: number, outcome: ChildOutcome<T, Cause>, isFailure: boolean): void {
    this.#outcomes[index] = outcome;
    this.#onTaskEnded?.(index);
    if (isFailure) {
      this.#firstFailure ??= index;
      this.scope.cancel("sibling_failed" as Cause);
    }
    if (--this.#running === 0) this.#allEnded?.(this.#end());
  }
}
