import type { StepName } from "./steps.ts";

/** Why an order was not admitted, for its client. */
export interface Overload {
  readonly message: string;
  /** A whole number, 1 or more. */
  readonly retryAfterSeconds: number;
}

/** Decides whether the service can take one more order. Main thread only. */
export interface AdmissionGate {
  /** Undefined: admitted, and `arrived` must follow. `computing`: those of its steps that will want a thread of their own. */
  admit(priority: number, computing: readonly StepName[]): Overload | undefined;
  /** The journal has answered an admitted order, which in this turn of the event loop asks for its capacities or does not run at all. */
  arrived(priority: number, computing: readonly StepName[]): void;
  /** An order was refused for `MAX_IN_FLIGHT`. Returns the seconds for `Retry-After`. */
  full(): number;
}
