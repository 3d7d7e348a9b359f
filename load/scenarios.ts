import { perStep } from "../src/orders/steps.ts";
/** One kind of load: what is sent, to a server of which settings, and the only answer that is right. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly order: Readonly<Record<string, unknown>>;
  readonly status: number;
  /** In every right answer: a 400 could also be a request that was refused. */
  readonly answerHas: string;
  /** Of the other right answer, with status 503: on a machine that is slow for the deadline. */
  readonly refusalHas?: string;
}

// Far above any latency that a loaded machine gives, below autocannon's own 10 s: an order that hangs shows as a wrong status.
const NO_DEADLINE_MS = "9000";
// Who would have to wait for one past its deadline is refused.
const ALL_COURIERS = "128";

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "steady",
    about: "every order succeeds after a short while",
    settings: { ORDER_TIMEOUT_MS: NO_DEADLINE_MS, COURIER_CAPACITY: ALL_COURIERS },
    order: { amount: 1200, delay_ms: { payment: 10, vendor: 15, courier: 5 } },
    status: 200,
    answerHas: '"status":"ok"',
  },
  {
    name: "storm",
    about: "every payment is declined after 5 ms while vendor and courier would take 800 ms",
    settings: { ORDER_TIMEOUT_MS: NO_DEADLINE_MS, COURIER_CAPACITY: ALL_COURIERS },
    order: { amount: 1200, fail_step: "payment", delay_ms: { payment: 5, vendor: 800, courier: 800 } },
    status: 400,
    answerHas: '"kind":"payment_declined"',
  },
  {
    name: "deadline",
    about: "no order is done in time",
    settings: { ORDER_TIMEOUT_MS: "100", COURIER_CAPACITY: ALL_COURIERS },
    order: { amount: 1200, delay_ms: perStep(() => 8000) },
    status: 504,
    answerHas: '"kind":"timeout"',
    refusalHas: '"kind":"overloaded"',
  },
];
