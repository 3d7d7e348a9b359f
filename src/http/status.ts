import type { ErrorKind } from "../orders/error-kind.ts";

/** The one table from error kinds to HTTP statuses. */
export const STATUS: Readonly<Record<ErrorKind, number>> = {
  bad_request: 400,
  payment_declined: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  canceled: 408,
  request_timeout: 408,
  order_conflict: 409,
  payload_too_large: 413,
  idempotency_mismatch: 422,
  rate_limited: 429,
  headers_too_large: 431,
  internal: 500,
  vendor_unavailable: 503,
  payment_unavailable: 503,
  no_courier: 503,
  overloaded: 503,
  shutting_down: 503,
  timeout: 504,
};

// A guess to be replaced by a measured one once admission measures: long enough not to hammer, short enough for a client to wait.
const RETRY_AFTER_SECONDS = "1";

/** Headers that answers of a kind carry besides their body. */
export function headersOf(kind: ErrorKind): Readonly<Record<string, string>> {
  switch (kind) {
    case "overloaded":
    case "rate_limited":
      return { "Retry-After": RETRY_AFTER_SECONDS };
    case "shutting_down":
      return { "Retry-After": RETRY_AFTER_SECONDS, Connection: "close" };
    case "request_timeout":
    case "headers_too_large":
      return { Connection: "close" };
    default:
      return {};
  }
}
