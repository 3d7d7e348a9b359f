import { QuietError } from "../threads/index.ts";
import type { ErrorKind } from "./error-kind.ts";

/** An order that was refused before any step ran. The message goes to the client. No stack: under overload there are thousands per second. */
export class Refused extends QuietError {
  readonly kind: ErrorKind;
  /** When the client should retry; undefined for the default of the kind. */
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ErrorKind, message: string, retryAfterSeconds?: number) {
    super(message);
    this.kind = kind;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
