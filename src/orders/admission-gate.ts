/** Why an order was not admitted, for its client. */
export interface Overload {
  readonly message: string;
  /** A whole number, 1 or more. */
  readonly retryAfterSeconds: number;
}

/** Who says whether the service can carry one more order. Main thread only. */
export interface AdmissionGate {
  /**
   * Undefined: admitted, and `arrived` must follow. `urgency`: 0 (most) to 7. `computing`: how many of its steps will want a
   * thread of their own.
   */
  admit(urgency: number, computing: number): Overload | undefined;
  /** An admitted order is back from the journal: it asks for its capacities in this same turn, or will not run at all. */
  arrived(computing: number): void;
  /** An order was refused for `MAX_IN_FLIGHT`. Gives the seconds after which to come again. */
  full(): number;
}
