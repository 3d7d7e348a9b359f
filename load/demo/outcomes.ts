import { perStep } from "../../src/orders/steps.ts";
/** How a step has to end; what is absent has to be absent. */
export interface ExpectedStep {
  readonly status: "ok" | "error" | "canceled";
  readonly detail?: string;
  readonly compensation?: "done" | "pending";
}

/** One of the ways in which an order can end: how to bring it about, and what has to be seen then. */
export interface Outcome {
  readonly name: string;
  readonly explained: string;
  /** Besides `order_id` and `amount`. */
  readonly simulation: Readonly<Record<string, unknown>>;
  /** The client leaves so long after the order was sent; without it the client waits for the answer. */
  readonly hangsUpAfterMs?: number;
  /** Of the answer; nobody receives one after a hang-up. */
  readonly status: number;
  /** The error kind; none where the order is placed. */
  readonly kind?: string;
  readonly steps: Readonly<Record<"payment" | "vendor" | "courier", ExpectedStep>>;
}

const OK = { status: "ok" } as const;
const COMPENSATED = { status: "ok", compensation: "done" } as const;
const STOPPED = { status: "canceled", detail: "sibling_failed" } as const;

export const OUTCOMES: readonly Outcome[] = [
  {
    name: "Placed",
    explained: "Payment, vendor and courier run side by side, so the order takes as long as the slowest of them.",
    simulation: {},
    status: 200,
    steps: perStep(() => OK),
  },
  {
    name: "Payment declined",
    explained: "The thread on which the payment fails cancels the siblings itself; nobody waits for the 800 ms they would take.",
    simulation: { fail_step: "payment", delay_ms: { payment: 100, vendor: 800, courier: 800 } },
    status: 400,
    kind: "payment_declined",
    steps: { payment: { status: "error", detail: "payment_declined" }, vendor: STOPPED, courier: STOPPED },
  },
  {
    name: "Vendor fails late",
    explained: "The payment went through long ago: it is refunded before the answer, and the courier is stopped.",
    simulation: { fail_step: "vendor", delay_ms: { payment: 50, vendor: 600, courier: 5_000 } },
    status: 503,
    kind: "vendor_unavailable",
    steps: { payment: COMPENSATED, vendor: { status: "error", detail: "vendor_unavailable" }, courier: STOPPED },
  },
  {
    name: "No courier",
    explained: "The courier service has nobody to send: the vendor is stopped, the payment refunded.",
    simulation: { fail_step: "courier", delay_ms: { payment: 50, vendor: 5_000, courier: 500 } },
    status: 503,
    kind: "no_courier",
    steps: { payment: COMPENSATED, vendor: STOPPED, courier: { status: "error", detail: "no_courier" } },
  },
  {
    name: "Deadline",
    explained: "The vendor would take a minute. At the deadline of two seconds it is stopped, and the others are compensated.",
    simulation: { delay_ms: { vendor: 60_000 } },
    status: 504,
    kind: "timeout",
    steps: { payment: COMPENSATED, vendor: { status: "canceled", detail: "deadline" }, courier: COMPENSATED },
  },
  {
    name: "The client hangs up",
    explained: "Nobody waits for the answer any more, so nothing runs on: steps stop at once, what was done is compensated.",
    simulation: { delay_ms: { payment: 50, vendor: 60_000, courier: 60_000 } },
    hangsUpAfterMs: 500,
    status: 408,
    kind: "canceled",
    steps: {
      payment: COMPENSATED,
      vendor: { status: "canceled", detail: "client_disconnected" },
      courier: { status: "canceled", detail: "client_disconnected" },
    },
  },
];
