import { ERROR_ANSWERS } from "../status.ts";
import { type ExampleOrder, simulatedAnswer, simulatedOutcome } from "./simulated-answer.ts";

/** An order to try, and what comes of it on a server that has had only those before it. A test sends them all and compares. */
export interface OrderExample {
  readonly name: string;
  readonly summary: string;
  readonly body: object;
  /** Header parameters that it shows. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answer: { readonly status: number; readonly body: object };
  /** It steers the simulated providers. */
  readonly simulation?: true;
  /** Its body is not one that the schema takes. */
  readonly breaksRule?: true;
}

function refusal(kind: keyof typeof ERROR_ANSWERS, message: string): OrderExample["answer"] {
  return { status: ERROR_ANSWERS[kind].status, body: { status: "error", error: { kind, message } } };
}

const FIRST: ExampleOrder = { order_id: "first", amount: 1200 };
const TENTH: ExampleOrder = { order_id: "tenth", amount: 1200 };
const LATE: ExampleOrder = { order_id: "third", amount: 1200, fail_step: "vendor", delay_ms: { courier: 5000 } };

function simulated(name: string, summary: string, body: ExampleOrder): OrderExample {
  return { name, summary, body, answer: simulatedAnswer(body), simulation: true };
}

const ORDER_EXAMPLES: readonly OrderExample[] = [
  { name: "placed", summary: "An order that is placed", body: FIRST, answer: simulatedAnswer(FIRST) },
  {
    name: "with_headers",
    summary: "The same for another order, with every header that it may have",
    body: TENTH,
    headers: {
      "Idempotency-Key": "checkout-42",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "X-Request-Id": "request-1",
      Priority: "u=1",
    },
    answer: simulatedAnswer(TENTH),
  },
  simulated("declined", "The payment is declined: the vendor is stopped, the courier released", {
    order_id: "second",
    amount: 1200,
    fail_step: "payment",
  }),
  simulated("vendor_fails", "The vendor fails late: the payment is refunded, the courier stopped", LATE),
  simulated("too_late", "The deadline passes while the vendor takes its time", {
    order_id: "fourth",
    amount: 1200,
    delay_ms: { vendor: 5000 },
  }),
  simulated("no_courier", "No courier can be had: payment and vendor are stopped", {
    order_id: "fifth",
    amount: 1200,
    fail_step: "courier",
  }),
  simulated("computes", "Two steps compute instead of waiting, each on a thread of its own", {
    order_id: "sixth",
    amount: 1200,
    delay_ms: { courier: 0 },
    cpu_ms: { payment: 60, vendor: 60 },
  }),
  {
    name: "no_amount",
    summary: "A rule is broken: the message names field and rule",
    body: { order_id: "seventh" },
    breaksRule: true,
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
const placed = simulatedOutcome(FIRST);
const placedAttempt = { attempt: 1, status: "ok", ...times, steps: placed.steps, compensations: [] };
const placedView = { order_id: "first", amount: 1200, status: "ok", steps: placed.steps, attempts_total: 1, attempts: [placedAttempt] };
const late = simulatedOutcome(LATE);
const failedAttempt = {
  attempt: 1,
  status: "error",
  ...times,
  steps: late.steps,
  error: { kind: late.kind, message: "order failed" },
  compensations: late.steps.filter((step) => "compensation" in step).map(({ name }) => ({ step: name, status: "done", tries: 1 })),
};

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
        steps: late.steps,
        error: failedAttempt.error,
        attempts_total: 1,
        attempts: [failedAttempt],
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
