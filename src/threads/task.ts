import type { Ended, Outcome } from "./outcome.ts";

/** How one task is run. */
export interface TaskRunOptions {
  /** `shared` (the default): beside thousands of others that mostly wait. `exclusive`: alone on a thread, for what computes. */
  readonly on?: "shared" | "exclusive";
  /** May be run again when its thread dies: doing it twice is as good as once. */
  readonly idempotent?: boolean;
}

/**
 * A task that was run. `await task` gives its value, or throws: `Failure` as the task threw it, `TaskError` for anything else that it
 * threw, `Canceled` with the cause, `ThreadLost`. Nothing needs to be awaited: the group's `join` has all outcomes. Main thread.
 */
export interface Task<T, O = Outcome<T>> extends PromiseLike<T> {
  readonly name: string;
  /** How it ended. Never rejects. Made when it is asked for. */
  readonly outcome: Promise<O>;
  /** Calls back once when it has ended, with outcome, times and thread; at once if it already has. Cheaper than a promise. Must not throw. */
  whenEnded(listener: (ended: Ended<O>) => void): void;
  readonly settled: boolean;
  /** The OS thread it was sent to; undefined while it waits for one. */
  readonly threadId: number | undefined;
}

/** A task that has not settled, for whoever looks on. */
export interface RunningTask {
  /** Grows with each task of the process. */
  readonly serial: number;
  readonly name: string;
  readonly input: unknown;
  readonly options: TaskRunOptions | undefined;
  readonly settled: boolean;
  readonly threadId: number | undefined;
}
