/** Structured concurrency over worker threads: `cancelable-threads`, for the thread that opens them. Tasks need `./worker/index.ts`. */

export { CancelScope } from "./cancel-scope.ts";
export { Cancelable, type Subscription } from "./cancelable.ts";
export { BUILT_IN_CAUSES, type BuiltInCause, Canceled, QuietError } from "./canceled.ts";
export { type Clock, monotonicMs, SYSTEM_CLOCK } from "./clock.ts";
export type { RunningTask, Task, TaskRunOptions } from "./dispatched-task.ts";
export { exitDespiteThreads } from "./exit-despite-threads.ts";
export {
  type CanceledOutcome,
  type Ended,
  type FailedOutcome,
  Failure,
  type LostOutcome,
  type Outcome,
  Refused,
  TaskError,
  ThreadLost,
} from "./outcome.ts";
export { Capacity, type CapacityOptions } from "./permits/capacity.ts";
export { DEFAULT_PRIORITY, DEFAULT_WEIGHTS, PRIORITIES, type Weights } from "./permits/fair-queue.ts";
export { Permit } from "./permits/grants.ts";
export { REPLACE_REASONS, type ReplaceReason } from "./pool-thread.ts";
export type { PoolName } from "./pool-threads.ts";
export { atMost, pause, sleep } from "./sleep.ts";
export type { Convert, SlotGroup } from "./slot-group.ts";
export { type ChildOutcome, type GroupResult, TaskGroup, type TaskGroupOptions } from "./task-group.ts";
export { type GroupOptions, type InputOf, type JoinResult, ThreadGroup, type ValueOf } from "./thread-group.ts";
export { openThreads, type Statistics, Threads, type ThreadView } from "./threads.ts";
export type { ThreadsOptions } from "./threads-options.ts";
export type { ThreadCounts, Totals } from "./tracker.ts";
export type { Codec, Codecs, DefinedTasks, TaskBody, TaskTable } from "./worker/define-tasks.ts";
