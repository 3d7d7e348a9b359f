import { ERROR_ANSWERS } from "../status.ts";

/**
 * An order to try, and what comes of it on a server that has had only those before it in this list. Its name stands under the request and
 * under the answer; a test sends them all and compares.
 */
export interface OrderExample {
  readonly name: string;
  readonly summary: string;
  readonly body: object;
  /** Header parameters that it shows. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answer: { readonly status: number; readonly body: object };
  /** It steers the simulated providers. */
  readonly simulation?: true;
}

const ok = (name: string, duration_ms: number) => ({ name, status: "ok", duration_ms });
const compensated = (name: string, duration_ms: number) => ({ ...ok(name, duration_ms), compensation: "done" });
const failed = (name: string, duration_ms: number, detail: string) => ({ name, status: "error", duration_ms, detail });
const canceled = (name: string, duration_ms: number, detail: string) => ({ name, status: "canceled", duration_ms, detail });

const placed = { status: "ok", order_id: "first", steps: [ok("payment", 152), ok("vendor", 202), ok("courier", 103)] };

function failure(order_id: string, kind: keyof typeof ERROR_ANSWERS, steps: readonly object[]): OrderExample["answer"] {
  const body = { status: "error", order_id, steps, error: { kind, message: "order failed" } };
  return { status: ERROR_ANSWERS[kind].status, body };
}

function refusal(kind: keyof typeof ERROR_ANSWERS, message: string): OrderExample["answer"] {
  return { status: ERROR_ANSWERS[kind].status, body: { status: "error", error: { kind, message } } };
}

const ORDER_EXAMPLES: readonly OrderExample[] = [
  {
    name: "placed",
    summary: "An order that is placed",
    body: { order_id: "first", amount: 1200 },
    headers: {
      "Idempotency-Key": "checkout-42",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "X-Request-Id": "request-1",
      Priority: "u=1",
    },
    answer: { status: 200, body: placed },
  },
  {
    name: "declined",
    summary: "The payment is declined: the vendor is stopped, the courier released",
    body: { order_id: "second", amount: 1200, fail_step: "payment" },
    answer: failure("second", "payment_declined", [
      failed("payment", 153, "payment_declined"),
      canceled("vendor", 154, "sibling_failed"),
      compensated("courier", 102),
    ]),
    simulation: true,
  },
  {
    name: "vendor_fails",
    summary: "The vendor fails late: the payment is refunded, the courier stopped",
    body: { order_id: "third", amount: 1200, fail_step: "vendor", delay_ms: { courier: 5000 } },
    answer: failure("third", "vendor_unavailable", [
      compensated("payment", 152),
      failed("vendor", 204, "vendor_unavailable"),
      canceled("courier", 205, "sibling_failed"),
    ]),
    simulation: true,
  },
  {
    name: "too_late",
    summary: "The deadline passes while the vendor takes its time",
    body: { order_id: "fourth", amount: 1200, delay_ms: { vendor: 5000 } },
    answer: failure("fourth", "timeout", [compensated("payment", 152), canceled("vendor", 2001, "deadline"), compensated("courier", 103)]),
    simulation: true,
  },
  {
    name: "no_courier",
    summary: "No courier can be had: payment and vendor are stopped",
    body: { order_id: "fifth", amount: 1200, fail_step: "courier" },
    answer: failure("fifth", "no_courier", [
      canceled("payment", 104, "sibling_failed"),
      canceled("vendor", 104, "sibling_failed"),
      failed("courier", 103, "no_courier"),
    ]),
    simulation: true,
  },
  {
    name: "computes",
    summary: "Two steps compute instead of waiting, each on a thread of its own",
    body: { order_id: "sixth", amount: 1200, delay_ms: { courier: 0 }, cpu_ms: { payment: 60, vendor: 60 } },
    answer: { status: 200, body: { ...placed, order_id: "sixth", steps: [ok("payment", 62), ok("vendor", 62), ok("courier", 2)] } },
    simulation: true,
  },
  {
    name: "no_amount",
    summary: "A rule is broken: the message names field and rule",
    body: { order_id: "seventh" },
    answer: refusal("bad_request", `amount: must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, in minor units`),
  },
  {
    name: "other_amount",
    summary: "An order that is placed already, with another amount",
    body: { order_id: "first", amount: 1300 },
    answer: refusal("order_conflict", "order_id: this order is already placed with another amount"),
  },
  {
    name: "other_body",
    summary: "An `Idempotency-Key` that was used with another body",
    body: { order_id: "eighth", amount: 1200 },
    headers: { "Idempotency-Key": "checkout-42" },
    answer: refusal("idempotency_mismatch", "Idempotency-Key: this key was used with another body"),
  },
];

/** Those that the server's providers can serve. */
export function orderExamples(simulated: boolean): readonly OrderExample[] {
  return simulated ? ORDER_EXAMPLES : ORDER_EXAMPLES.filter(({ simulation }) => simulation === undefined);
}

/** A look-up to try, after the orders above. */
export interface LookUpExample {
  readonly name: string;
  readonly summary: string;
  readonly order_id: string;
  readonly before?: number;
  readonly answer: { readonly status: number; readonly body: object };
  readonly simulation?: true;
}

const times = { accepted_at: "2026-01-31T12:00:00.000Z", ended_at: "2026-01-31T12:00:00.206Z" };
const placedAttempt = { attempt: 1, status: "ok", ...times, steps: placed.steps, compensations: [] };
const placedView = { order_id: "first", amount: 1200, status: "ok", steps: placed.steps, attempts_total: 1, attempts: [placedAttempt] };
const lateSteps = [compensated("payment", 152), failed("vendor", 204, "vendor_unavailable"), canceled("courier", 205, "sibling_failed")];
const lateError = { kind: "vendor_unavailable", message: "order failed" };

const LOOK_UP_EXAMPLES: readonly LookUpExample[] = [
  { name: "placed", summary: "An order that is placed", order_id: "first", answer: { status: 200, body: placedView } },
  {
    name: "failed",
    summary: "An order that failed, and what has been compensated",
    order_id: "third",
    answer: {
      status: 200,
      body: {
        order_id: "third",
        amount: 1200,
        status: "error",
        steps: lateSteps,
        error: lateError,
        attempts_total: 1,
        attempts: [
          {
            attempt: 1,
            status: "error",
            ...times,
            steps: lateSteps,
            error: lateError,
            compensations: [{ step: "payment", status: "done", tries: 1 }],
          },
        ],
      },
    },
    simulation: true,
  },
  {
    name: "older",
    summary: "Attempts before a given one",
    order_id: "first",
    before: 1,
    answer: { status: 200, body: { ...placedView, attempts: [] } },
  },
  { name: "unknown", summary: "An order that nobody placed", order_id: "nobodys", answer: refusal("not_found", "no such order") },
];

/** Those of orders that `orderExamples` has. */
export function lookUpExamples(simulated: boolean): readonly LookUpExample[] {
  return simulated ? LOOK_UP_EXAMPLES : LOOK_UP_EXAMPLES.filter(({ simulation }) => simulation === undefined);
}
