import type { CanceledOutcome, FailedOutcome } from "../outcome.ts";
import type { TaskContext } from "./task-context.ts";

/** A task: gets what `run` was given and returns what can be cloned, or throws. */
// biome-ignore lint/suspicious/noExplicitAny: each task has an input of its own, and `never` would lose it.
export type TaskBody = (input: any, context: TaskContext) => unknown;

export type TaskTable = Readonly<Record<string, TaskBody>>;

/** Turns the input of a hot task into a flat value that is cheaper to clone, and back. Both ends get the same codecs. */
export interface Codec<Input = unknown, Flat = unknown> {
  /** Main thread. What it throws fails the task. */
  encode(input: Input, name: string): Flat;
  /** The task's thread. What it throws fails the task. */
  decode(flat: Flat): unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: each codec has types of its own.
export type Codecs = Readonly<Record<string, Codec<any, any>>>;

export interface TasksOptions {
  readonly codecs?: Codecs;
  /** Called for each task when it begins, or is canceled on its way. What it returns is told of the end; what it throws changes nothing. */
  readonly observe?: (name: string, input: unknown, startedAtMs: number) => TaskObserver | undefined;
  /** Called before outcomes leave the thread, so that what is posted here arrives before them. */
  readonly beforeOutcomes?: () => void;
}

export interface TaskObserver {
  /** The task has ended. `outcome`: null for ok. */
  ended(outcome: FailedOutcome | CanceledOutcome | null, endedAtMs: number): void;
}

/** What a file of tasks exports as `tasks`. */
export interface DefinedTasks<Tasks extends TaskTable = TaskTable> {
  readonly make: (settings: never) => Tasks | Promise<Tasks>;
  readonly options: TasksOptions;
}

/**
 * Defines the tasks of a file, which every thread loads: `export const tasks = defineTasks({ ... })`. Give a function where the tasks need
 * the `settings` that `openThreads` was given; it runs once per thread and may be async. Task threads.
 */
export function defineTasks<Tasks extends TaskTable, Settings = never>(
  tasks: Tasks | ((settings: Settings) => Tasks | Promise<Tasks>),
  options: TasksOptions = {},
): DefinedTasks<Tasks> {
  return { make: (typeof tasks === "function" ? tasks : () => tasks) as DefinedTasks<Tasks>["make"], options };
}

// In the global registry: the file of tasks may have loaded another copy of the library than its thread.
const BRAND = Symbol.for("cancelable-threads.Transferred");

/** A value on its way out, and what is to be moved instead of copied. */
export class Transferred {
  readonly value: unknown;
  readonly list: readonly ArrayBuffer[];

  constructor(value: unknown, list: readonly ArrayBuffer[]) {
    this.value = value;
    this.list = list;
  }

  get [BRAND](): true {
    return true;
  }

  /** Throws what a trap of a proxy throws. */
  static is(value: unknown): value is Transferred {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

/** For a task's `return`: its value goes without a copy of these buffers, which are empty on this thread afterwards. */
export function transfer<T>(value: T, list: readonly ArrayBuffer[]): T {
  return new Transferred(value, list) as T;
}
