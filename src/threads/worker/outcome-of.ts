import { type BuiltInCause, Canceled } from "../canceled.ts";
import { type CanceledOutcome, type FailedOutcome, Failure } from "../outcome.ts";
import type { TaskContext } from "./task-context.ts";

/**
 * What a task did that threw. Anything can be thrown: null, a proxy, an error whose getters throw; and whatever fails in here must not
 * fail the thread, which serves others. The thread of the task.
 */
export function outcomeOf(error: unknown, context: TaskContext): FailedOutcome | CanceledOutcome {
  try {
    return classified(error, context);
  } catch {
    const unreadable = { name: "Error", stack: "the task threw something that throws when it is read" };
    return failed(unreadable.stack, undefined, false, context.progress, unreadable);
  }
}

function classified(error: unknown, context: TaskContext): FailedOutcome | CanceledOutcome {
  const { progress } = context;
  if (Failure.is(error)) return failed(String(error.message), error.data, error.keepsSiblings === true, progress, undefined);
  context.look();
  const { cause } = context;
  // Only a task of a canceled group can be canceled.
  if (cause !== undefined && isAbort(error)) {
    return { status: "canceled", cause: cause as BuiltInCause, started: true, stopped: true, progress };
  }
  if (!(error instanceof Error)) {
    const text = process.getBuiltinModule("node:util").inspect(error);
    return failed(text, undefined, false, progress, { name: typeof error, stack: text });
  }
  const message = String(error.message);
  // With a handler of its own in `Error.prepareStackTrace` a stack may be anything.
  const stack = typeof error.stack === "string" ? error.stack : message;
  return failed(message, undefined, false, progress, { name: String(error.name), stack });
}

function failed(message: string, data: unknown, keepsSiblings: boolean, progress: unknown, error: FailedOutcome["error"]): FailedOutcome {
  return { status: "failed", message, data, keepsSiblings, progress, error };
}

/** Whether something was thrown because of a cancel: an aborted API may wrap the reason in an error of its own. Never throws. */
export function isAbort(error: unknown): boolean {
  try {
    return Canceled.is(error) || (error instanceof Error && error.name === "AbortError");
  } catch {
    return false;
  }
}
