import type { BuiltInCause } from "./canceled.ts";
import type { CanceledOutcome, FailedOutcome, Outcome } from "./outcome.ts";

/**
 * How a task ended, on its way from its thread: flat, because the clone of an object has its field names in it. `null`: ok without a value,
 * the result of almost all. A number: canceled without progress, twice the cause's index and 1 where it had started. An array: a value (1
 * entry); canceled with progress (3); failed by a `Failure` (4), or by anything else (6).
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
