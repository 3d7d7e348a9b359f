import { type ByOrderId, OrderRuns } from "../../../orders/order-runs.ts";
import type { AttemptExecution } from "./attempt-execution.ts";

// Attempts at a time on a busy node; with more a look-up only takes longer.
const EXPECTED = 1_024;

/** The attempts that this node executes now. Main thread only. */
export class Executions {
  readonly #runs = new OrderRuns<AttemptExecution & ByOrderId>(EXPECTED);
  #count = 0;
  #idle: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  add(execution: AttemptExecution): void {
    this.#count++;
    this.#runs.add(execution);
  }

  remove(execution: AttemptExecution): void {
    this.#runs.remove(execution);
    this.#count--;
    if (this.#count === 0) this.#idle?.();
  }

  get(orderId: string): AttemptExecution | undefined {
    return this.#runs.get(orderId);
  }

  all(): AttemptExecution[] {
    return this.#runs.all();
  }

  /** Resolves when none is left. */
  async ended(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }
}
