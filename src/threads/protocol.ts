import type { BuiltInCause } from "./canceled.ts";
import type { LayoutHandle } from "./layout.ts";
import type { CanceledOutcome, FailedOutcome, Outcome } from "./outcome.ts";
import type { Codec, Codecs } from "./worker/define-tasks.ts";

export interface ThreadSetup {
  readonly layout: LayoutHandle;
  readonly causes: readonly string[];
  /** URL of the file that exports `tasks`. */
  readonly file: string;
  readonly settings: unknown;
}

/**
 * Tasks on their way to a thread, `TASK_STRIDE` entries each in one flat array: an array for each task costs a tenth more. Slot and
 * generation name the task's group; `id` is its place in the task table.
 */
export type TaskMessage = unknown[];
export type TaskEntries = readonly [id: number, slot: number, generation: number, name: string, payload: unknown];
export const TASK_STRIDE = 5;

/** That of a task's payload. The name may come from outside, and be that of a property that every object has. Any thread. */
export function codecOf(codecs: Codecs | undefined, name: string): Codec | undefined {
  return codecs !== undefined && Object.hasOwn(codecs, name) ? codecs[name] : undefined;
}

/**
 * The one Piscina task of a thread lasts as long as the thread: one for each task would cost the main thread several times as much.
 * Everything goes through its port: `TaskMessage` one way, `ThreadMessage` the other.
 */
export type StandingTask = import("node:worker_threads").MessagePort;

export type ThreadMessage = OutcomeMessage | ReadyMessage | UserMessage | FaultMessage;

/** `OUTCOME_STRIDE` entries a task: id, slot, generation, when it began and when it ended (`monotonicMs`), and its `PostedResult`. */
export type OutcomeMessage = unknown[];
export const OUTCOME_STRIDE = 6;

/** The thread has loaded the tasks and claimed a tracker row. Which one, only shared memory says. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly threadId: number;
}

/** What `post` was given, perhaps before the thread is ready. */
export interface UserMessage {
  readonly type: "user";
  readonly threadId: number;
  readonly value: unknown;
}

/** Something went wrong that no outcome tells of. */
export interface FaultMessage {
  readonly type: "fault";
  readonly message: string;
  readonly stack: string;
}

/** What a message from a thread is; undefined for anything that is none. Whoever runs on a thread may have got at its port. */
export function parseThreadMessage(message: unknown): ThreadMessage | undefined {
  if (Array.isArray(message)) return message.length % OUTCOME_STRIDE === 0 && outcomesAreWellFormed(message) ? message : undefined;
  if (typeof message !== "object" || message === null) return undefined;
  const { type, threadId, message: text, stack } = message as Record<string, unknown>;
  switch (type) {
    case "ready":
    case "user":
      return Number.isInteger(threadId) ? (message as ReadyMessage | UserMessage) : undefined;
    case "fault":
      return typeof text === "string" && typeof stack === "string" ? (message as FaultMessage) : undefined;
    default:
      return undefined;
  }
}

function outcomesAreWellFormed(message: readonly unknown[]): boolean {
  for (let at = 0; at < message.length; at++) {
    if (at % OUTCOME_STRIDE !== OUTCOME_STRIDE - 1 && typeof message[at] !== "number") return false;
  }
  return true;
}

/**
 * How a task ended, on its way from its thread; flat, as above. `null`: ok without a value, almost all. A number: canceled without
 * progress, twice the cause's index and 1 where it had started. An array: a value (1 entry); canceled with progress (3); a `Failure` (4),
 * or else (6).
 */
export type PostedResult =
  | null
  | number
  | readonly [value: unknown]
  | readonly [causeIndex: number, started: boolean, progress: unknown]
  | readonly [message: string, data: unknown, keepsSiblings: boolean, progress: unknown]
  | readonly [message: string, data: unknown, keepsSiblings: boolean, progress: unknown, name: string, stack: string];

const OK: Outcome = { status: "ok", value: undefined };

/** The task's thread. */
export function toPost(outcome: FailedOutcome | CanceledOutcome, causes: readonly string[]): PostedResult {
  if (outcome.status === "failed") {
    const { message, data, keepsSiblings, progress, error } = outcome;
    return error === undefined
      ? [message, data, keepsSiblings, progress]
      : [message, data, keepsSiblings, progress, error.name, error.stack];
  }
  const { cause, started, progress } = outcome;
  // `ended` is no cause of an outcome: nobody reads this one, whose group is over, but its arrival counts.
  const index = Math.max(0, causes.indexOf(cause));
  return progress === undefined ? index * 2 + (started ? 1 : 0) : [index, started, progress];
}

/** The main thread. Undefined for anything that is no result: whoever runs on a thread may have got at its port. */
export function fromPosted(posted: unknown, causes: readonly string[]): Outcome | undefined {
  if (posted === null) return OK;
  if (typeof posted === "number") return canceled(causes[posted >> 1], (posted & 1) === 1, undefined);
  if (!Array.isArray(posted)) return undefined;
  if (posted.length === 1) return { status: "ok", value: posted[0] };
  const [first, second, third, progress, name, stack] = posted;
  if (posted.length === 3) return canceled(causes[first], second === true, third);
  if (typeof first !== "string") return undefined;
  if (posted.length !== 4 && (typeof name !== "string" || typeof stack !== "string")) return undefined;
  const error = posted.length === 4 ? undefined : { name, stack };
  return { status: "failed", message: first, data: second, keepsSiblings: third === true, progress, error };
}

function canceled(cause: string | undefined, started: boolean, progress: unknown): CanceledOutcome | undefined {
  return cause === undefined ? undefined : { status: "canceled", cause: cause as BuiltInCause, started, stopped: true, progress };
}
