import { type CancelCause, Canceled } from "./cancel-cause.ts";
import { CancelScope, type Subscription } from "./cancel-scope.ts";

/** How one task of a group ended. */
export type TaskOutcome<T> =
  | { readonly status: "ok"; readonly value: T }
  | { readonly status: "failed"; readonly error: unknown }
  | { readonly status: "canceled"; readonly cause: CancelCause };

/** What `join` gives: every outcome in the order of spawning, and the first failure in time. */
export interface GroupResult<T> {
  readonly outcomes: readonly TaskOutcome<T>[];
  /** Index into `outcomes` of the task whose failure came first; undefined when none failed. */
  readonly firstFailure: number | undefined;
  /** Why the group was canceled; undefined when it was not. */
  readonly cause: CancelCause | undefined;
}

export interface TaskGroupOptions<T> {
  /** Canceling this cancels the group, with the same cause. */
  readonly parent?: CancelScope;
  /**
   * Tells a returned value that is a failure, for tasks whose failures are data (an outcome that
   * crossed a thread boundary is). Such a task is kept as `ok` with its value, and cancels its siblings.
   */
  readonly isFailure?: (value: T) => boolean;
  /** Called for each task that was started, with its index, at its end and before its siblings hear of that. Must not throw. */
  readonly onTaskEnded?: (index: number) => void;
}

/**
 * Owns the tasks spawned in it and ends after the last of them (errgroup's Group, Trio's nursery).
 * The first failure cancels the others with `sibling_failed`; every outcome is kept, the first
 * failure is named. `Promise.all` is no substitute: it returns at the first rejection with the
 * siblings still running.
 *
 * One thread, one use: `spawn` after `join` throws.
 */
export class TaskGroup<T> {
  readonly scope = new CancelScope();
  // Filled as tasks end, so that a group whose tasks all wait holds nothing in it.
  readonly #outcomes: TaskOutcome<T>[] = [];
  readonly #isFailure: ((value: T) => boolean) | undefined;
  readonly #onTaskEnded: ((index: number) => void) | undefined;
  readonly #parent: Subscription | undefined;
  #spawned = 0;
  #running = 0;
  #firstFailure: number | undefined;
  #joined: Promise<GroupResult<T>> | undefined;
  #allEnded: ((result: GroupResult<T>) => void) | undefined;

  constructor(options: TaskGroupOptions<T> = {}) {
    this.#isFailure = options.isFailure;
    this.#onTaskEnded = options.onTaskEnded;
    if (options.parent !== undefined) this.#parent = this.scope.link(options.parent);
  }

  /**
   * Starts a task at once. It gets the group's scope and its index and should end soon after that is canceled.
   * It ends `ok` with its value, `canceled` when it throws a `Canceled` after the group was canceled, else `failed`.
   * A task spawned into a canceled group does not start. Throws after `join`.
   */
  spawn(task: (scope: CancelScope, index: number) => Promise<T>): void {
    if (this.#joined !== undefined) throw new Error("spawn after join: a task group is used once");
    const index = this.#spawned++;
    if (this.scope.cause !== undefined) {
      this.#outcomes[index] = { status: "canceled", cause: this.scope.cause };
      return;
    }
    this.#running++;
    let promise: Promise<T>;
    try {
      promise = task(this.scope, index);
    } catch (error) {
      // A task that throws before it returns its promise fails like one that rejects.
      this.#fail(index, error);
      return;
    }
    promise.then(
      (value) => this.#succeed(index, value),
      (error: unknown) => this.#fail(index, error),
    );
  }

  /** Waits until every task has ended. Never rejects. A second call gives the same result. */
  join(): Promise<GroupResult<T>> {
    this.#joined ??= this.#running === 0 ? Promise.resolve(this.#end()) : new Promise((resolve) => (this.#allEnded = resolve));
    return this.#joined;
  }

  #end(): GroupResult<T> {
    this.#parent?.unsubscribe();
    return { outcomes: this.#outcomes, firstFailure: this.#firstFailure, cause: this.scope.cause };
  }

  #succeed(index: number, value: T): void {
    this.#onTaskEnded?.(index);
    let failed: boolean;
    try {
      failed = this.#isFailure?.(value) === true;
    } catch (error) {
      this.#noteError(index, error);
      return;
    }
    this.#outcomes[index] = { status: "ok", value };
    if (failed) this.#noteFailure(index);
    this.#ended();
  }

  #fail(index: number, error: unknown): void {
    this.#onTaskEnded?.(index);
    this.#noteError(index, error);
  }

  #noteError(index: number, error: unknown): void {
    // A `Canceled` counts as a cancel only when this group was canceled: one thrown by itself
    // (from some inner scope) would otherwise let a task end without a result and without a failure.
    if (error instanceof Canceled && this.scope.cause !== undefined) {
      this.#outcomes[index] = { status: "canceled", cause: error.causedBy };
    } else {
      this.#outcomes[index] = { status: "failed", error };
      this.#noteFailure(index);
    }
    this.#ended();
  }

  #noteFailure(index: number): void {
    this.#firstFailure ??= index;
    this.scope.cancel("sibling_failed");
  }

  #ended(): void {
    this.#running--;
    if (this.#running === 0) this.#allEnded?.(this.#end());
  }
}
