import { defineStep } from "./step-definition.ts";

/** Assigns a courier. The compensation releases the courier. */
export const courier = defineStep({
  provider: "courier service",
  perform: { path: "assignments", hasAmount: false, acts: "assignments" },
  compensate: { path: "releases", hasAmount: false, acts: "releases" },
  capacity: { byDefault: 5, atMost: 128, counts: "couriers" },
  simulated: { delayMs: 100, failsWith: "no_courier" },
  errors: {
    no_courier: { status: 503, when: "no courier can be assigned, or the circuit of their service is open (then with `Retry-After`)" },
  },
  meaning: {
    statuses: { 404: "no_courier", 409: "no_courier", 503: "no_courier" },
    definite: "internal",
    other: "internal",
    unreachable: "internal",
    circuitOpen: "no_courier",
    // The service answers this when it has no courier.
    healthy: 503,
  },
});
