import type { Simulation } from "./step.ts";

/** An order as a client asks for it, checked. */
export interface Order {
  readonly orderId: string;
  /** Minor units, 1 to 2^53-1. */
  readonly amount: number;
  readonly simulation?: Simulation;
}
