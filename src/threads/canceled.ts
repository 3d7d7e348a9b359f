/** The causes that the library itself cancels for. `aborted`: an `AbortSignal` given to the group fired. `closed`: the threads are closed. */
export const BUILT_IN_CAUSES = ["sibling_failed", "deadline", "aborted", "closed"] as const;

export type BuiltInCause = (typeof BUILT_IN_CAUSES)[number];

/** Why a task that has ended hears a cancel all the same: what it left behind has to stop. No outcome ever has this cause. */
export const ENDED = "ended";

// In the global registry: a program may have loaded this module twice, and `instanceof` then fails between the two.
const BRAND = Symbol.for("cancelable-threads.Canceled");

/** What is to be read of anything that was thrown. Never throws. Any thread. */
export function textOf(error: unknown, part: "stack" | "message" | "name" = "stack"): string {
  try {
    return String(error instanceof Error ? (error[part] ?? error.message) : error);
  } catch {
    return "it throws when it is read";
  }
}

/** An error without a stack, for what is expected: nobody reads the stack, and capturing it costs more than the rest of a cancel. */
export class QuietError extends Error {
  constructor(message: string) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.name = new.target.name;
  }
}

/** What a canceled wait throws, and the `reason` of every `AbortSignal` made here. Any thread. */
export class Canceled extends QuietError {
  /** One of the built-in causes, one of your own, or `ended` for what a task left behind. */
  readonly causedBy: string;

  constructor(cause: string) {
    super(`canceled: ${cause}`);
    this.causedBy = cause;
  }

  get [BRAND](): true {
    return true;
  }

  /** Whether anything that was thrown is a `Canceled`, of this copy of the library or of another. Never throws. */
  static is(error: unknown): error is Canceled {
    try {
      return typeof error === "object" && error !== null && BRAND in error;
    } catch {
      return false; // A proxy whose trap throws.
    }
  }
}
