import { defineStep } from "./step-definition.ts";

/** Charges the customer. The compensation refunds the charge. */
export const payment = defineStep({
  provider: "payment provider",
  perform: { path: "payments", hasAmount: true, acts: "charges" },
  compensate: { path: "refunds", hasAmount: true, acts: "refunds" },
  capacity: { byDefault: 1000, atMost: 1_000_000, counts: "payment steps at one time" },
  simulated: { delayMs: 150, failsWith: "payment_declined" },
  errors: {
    payment_declined: { status: 400, when: "the payment provider said no" },
    payment_unavailable: {
      status: 503,
      when: "the payment provider could not be reached, or its circuit is open (then with `Retry-After`); not a decline",
    },
  },
  meaning: {
    statuses: { 402: "payment_declined" },
    definite: "internal",
    other: "payment_unavailable",
    unreachable: "payment_unavailable",
    circuitOpen: "payment_unavailable",
  },
});
