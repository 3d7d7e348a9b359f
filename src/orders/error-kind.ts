/** Every way in which the service says no. The strings are those of the wire format; the list is closed. */
export const ERROR_KINDS = [
  "bad_request",
  "payment_declined",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "canceled",
  "request_timeout",
  "order_conflict",
  "payload_too_large",
  "idempotency_mismatch",
  "rate_limited",
  "headers_too_large",
  "internal",
  "vendor_unavailable",
  "payment_unavailable",
  "no_courier",
  "overloaded",
  "shutting_down",
  "timeout",
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

/** The kinds that a step itself may fail with; anything else it throws is `internal`. */
export const STEP_ERROR_KINDS = [
  "payment_declined",
  "payment_unavailable",
  "vendor_unavailable",
  "no_courier",
  "internal",
] as const satisfies readonly ErrorKind[];

export type StepErrorKind = (typeof STEP_ERROR_KINDS)[number];

/** The kinds of an order that ran and failed; whatever is refused before has another one, or `internal`. */
export const ORDER_ERROR_KINDS = [...STEP_ERROR_KINDS, "timeout", "canceled"] as const satisfies readonly ErrorKind[];

export type OrderErrorKind = (typeof ORDER_ERROR_KINDS)[number];
