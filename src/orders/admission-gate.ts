/** Why an order was not admitted, for its client. */
export interface Overload {
  readonly message: string;
  /** A whole number, 1 or more. */
  readonly retryAfterSeconds: number;
}

/** Decides whether the service can take one more order. Main thread only. */
export interface AdmissionGate {
  /**
   * Undefined: admitted, and `arrived` must follow. `urgency`: 0 (most) to 7. `computing`: how many of its steps will want a
   * thread of their own.
   */
  admit(urgency: number, computing: number): Overload | undefined;
  /** The journal has answered an admitted order, which in this turn of the event loop asks for its capacities or does not run at all. */
  arrived(computing: number): void;
  /** An order was refused for `MAX_IN_FLIGHT`. Returns the seconds for `Retry-After`. */
  full(): number;
}
