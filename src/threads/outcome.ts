import { type BuiltInCause, QuietError } from "./canceled.ts";

// As with `Canceled`: recognized across two copies of the library.
const BRAND = Symbol.for("cancelable-threads.Failure");

/** Thrown by a task that fails in a way its callers know: crosses the boundary as data, with equal `message` and `data`. Any thread. */
export class Failure<Data = unknown> extends QuietError {
  /** Whatever can be cloned. */
  readonly data: Data;
  /** The group goes on: its other tasks are not canceled, for this one may be run again. */
  readonly keepsSiblings: boolean;

  constructor(data: Data, message = "the task failed", { keepsSiblings = false }: { readonly keepsSiblings?: boolean } = {}) {
    super(message);
    this.data = data;
    this.keepsSiblings = keepsSiblings;
  }

  get [BRAND](): true {
    return true;
  }

  /** Whether anything that was thrown is a `Failure`. May throw where a proxy was thrown. */
  static is(error: unknown): error is Failure {
    return typeof error === "object" && error !== null && BRAND in error;
  }
}

/** A task that threw what is no `Failure`. `name`, `message` and `stack` are those of the error on its thread. */
export class TaskError extends Error {
  constructor({ message, error }: FailedOutcome) {
    super(message);
    this.name = error?.name ?? "Error";
    if (error !== undefined) this.stack = error.stack;
  }
}

export class ThreadLost extends QuietError {
  /** Whether the task had begun, as far as anybody knows. */
  readonly started: boolean;

  constructor({ reason, started }: LostOutcome) {
    super(reason);
    this.started = started;
  }
}

/** Thrown where a bound is reached: groups at one time, or tasks that wait for a thread. Nothing was started. */
export class Refused extends QuietError {}

/** How a task ended. Data, not errors: an error that crosses a thread boundary loses its class and fields. */
export type Outcome<T = unknown, Cause extends string = string, Data = unknown> =
  | { readonly status: "ok"; readonly value: T }
  | FailedOutcome<Data>
  | CanceledOutcome<Cause>
  | LostOutcome;

export interface FailedOutcome<Data = unknown> {
  readonly status: "failed";
  readonly message: string;
  /** Of a `Failure`; undefined for anything else that was thrown. */
  readonly data: Data | undefined;
  readonly keepsSiblings: boolean;
  /** What the task last noted in `context.progress`. */
  readonly progress: unknown;
  /** What was thrown, where it was no `Failure`: nobody classified it, so it is to be read by somebody. */
  readonly error: { readonly name: string; readonly stack: string } | undefined;
}

/** A task that failed without anybody having classified why: `name` and `stack` are for people. */
export function failed(message: string, name: string, stack = message, progress?: unknown): FailedOutcome {
  return { status: "failed", message, data: undefined, keepsSiblings: false, progress, error: { name, stack } };
}

export interface CanceledOutcome<Cause extends string = string> {
  readonly status: "canceled";
  readonly cause: Cause | BuiltInCause;
  /** Whether the task had begun. False: it never ran, and never will. */
  readonly started: boolean;
  /** Whether the task has surely ended. False: it ignored its cancel for the whole grace, or its thread was killed. */
  readonly stopped: boolean;
  /** What the task last noted in `context.progress`; undefined where it has not stopped. */
  readonly progress: unknown;
}

/** The outcome of a task that was canceled before it began. */
export function neverRan<Cause extends string>(cause: Cause | BuiltInCause): CanceledOutcome<Cause> {
  return { status: "canceled", cause, started: false, stopped: true, progress: undefined };
}

export interface LostOutcome {
  readonly status: "lost";
  /** For people: why the thread died. */
  readonly reason: string;
  /** Whether the task may have begun. */
  readonly started: boolean;
}

/** An outcome, and when and where it came about. Times are on the clock of `monotonicMs`. */
export interface Ended<O = Outcome> {
  readonly outcome: O;
  readonly endedAtMs: number;
  /** Undefined where it never came to a thread, or its thread died. */
  readonly startedAtMs: number | undefined;
  /** The thread it was sent to last. */
  readonly threadId: number | undefined;
  /** How often it was given to a thread that began it: more than once only for an idempotent task whose thread died. */
  readonly tries: number;
}
