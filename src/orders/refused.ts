import type { ErrorKind } from "./error-kind.ts";

/** An order that was refused before any step ran. The message goes to the client. */
export class Refused extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
