import type { ErrorKind } from "./error-kind.ts";

/** An order that was refused before any step ran. The message goes to the client. */
export class Refused extends Error {
  readonly kind: ErrorKind;
  /** When to come again; undefined where nobody knows better than the kind's default. */
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ErrorKind, message: string, retryAfterSeconds?: number) {
    const limit = Error.stackTraceLimit;
    // An answer, not a fault; and under overload there are thousands a second, each of which must cost little.
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.kind = kind;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
