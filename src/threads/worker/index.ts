/** What a file of tasks needs: `cancelable-threads/worker`. All of it is for a task's thread only, unless its own page says more. */
export type { Cancelable, Subscription } from "../cancelable.ts";
export { Canceled } from "../canceled.ts";
export { monotonicMs } from "../clock.ts";
export type { CanceledOutcome, FailedOutcome } from "../outcome.ts";
export { Failure } from "../outcome.ts";
export {
  type Codec,
  type Codecs,
  type DefinedTasks,
  defineTasks,
  type TaskBody,
  type TaskObserver,
  type TasksOptions,
  type TaskTable,
  transfer,
} from "./define-tasks.ts";
export { post } from "./outbox.ts";
export type { TaskContext } from "./task-context.ts";
