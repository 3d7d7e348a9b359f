import type { ErrorKind } from "../../../src/orders/error-kind.ts";
import type { StoredAnswer } from "../../../src/orders/order-journal.ts";
import type { EndedAttempt } from "../tables/attempts.ts";

/** The answer that an attempt ended with. */
export function storedAnswer([, , , , , error, , json]: EndedAttempt): StoredAnswer {
  return error === null ? { json } : { error: error as ErrorKind, json };
}
