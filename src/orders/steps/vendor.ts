import { defineStep } from "./step-definition.ts";

/** Has the vendor accept the order. The compensation cancels the acceptance. */
export const vendor = defineStep({
  provider: "vendor",
  perform: { path: "orders", hasAmount: true, acts: "acceptances" },
  compensate: { path: "cancellations", hasAmount: false, acts: "cancellations" },
  capacity: { byDefault: 1000, atMost: 1_000_000, counts: "vendor steps at one time" },
  simulated: { delayMs: 200, failsWith: "vendor_unavailable" },
  errors: {
    vendor_unavailable: { status: 503, when: "the vendor failed, or its circuit is open (then with `Retry-After`)" },
  },
  meaning: {
    statuses: {},
    definite: "vendor_unavailable",
    other: "vendor_unavailable",
    unreachable: "vendor_unavailable",
    circuitOpen: "vendor_unavailable",
  },
});
