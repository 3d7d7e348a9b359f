import type { ErrorKind } from "./error-kind.ts";

/** An order that was refused before any step ran. The message goes to the client. */
export class Refused extends Error {
  readonly kind: ErrorKind;
  /** When the client should retry; undefined for the default of the kind. */
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ErrorKind, message: string, retryAfterSeconds?: number) {
    const limit = Error.stackTraceLimit;
    // No stack: a refusal is an answer and not a fault, and under overload thousands a second must cost little.
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.kind = kind;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
