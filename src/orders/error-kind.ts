import type { StepError } from "./steps/step-definition.ts";
import { STEP_TABLE } from "./steps.ts";

type StepTable = typeof STEP_TABLE;
type KindOfStep = { [Step in keyof StepTable]: keyof StepTable[Step]["errors"] & string }[keyof StepTable];

/** The error kinds of the steps, as clients see them. */
export const STEP_ERRORS = Object.assign({}, ...Object.values(STEP_TABLE).map(({ errors }) => errors)) as Readonly<
  Record<KindOfStep, StepError>
>;
const KINDS_OF_STEPS = Object.keys(STEP_ERRORS) as KindOfStep[];

/** The kinds that a step itself may fail with; anything else it throws is `internal`. */
export const STEP_ERROR_KINDS = [...KINDS_OF_STEPS, "internal"] as const;

export type StepErrorKind = (typeof STEP_ERROR_KINDS)[number];

/** The kinds of an order that ran and failed; whatever is refused before has another one, or `internal`. */
export const ORDER_ERROR_KINDS = [...STEP_ERROR_KINDS, "timeout", "canceled"] as const;

export type OrderErrorKind = (typeof ORDER_ERROR_KINDS)[number];

/** The kinds of an order that is refused, or of a request that is about none. */
const REFUSALS = [
  "bad_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "request_timeout",
  "order_conflict",
  "payload_too_large",
  "idempotency_mismatch",
  "rate_limited",
  "headers_too_large",
  "overloaded",
  "shutting_down",
] as const;

/** Every way in which the service says no. The strings are those of the wire format; the list is closed. */
export const ERROR_KINDS = [...REFUSALS, ...ORDER_ERROR_KINDS] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];
