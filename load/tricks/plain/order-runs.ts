import type { OrderRun } from "../../../src/orders/order-run.ts";
import type { ByOrderId } from "../../../src/orders/order-runs.ts";

/** `OrderRuns` on a `Map`. */
export class OrderRuns<Run extends ByOrderId = OrderRun> {
  readonly #runs = new Map<string, Run>();

  add(run: Run): void {
    this.#runs.set(run.orderId, run);
  }

  get(orderId: string): Run | undefined {
    return this.#runs.get(orderId);
  }

  remove(run: Run): void {
    if (this.#runs.get(run.orderId) === run) this.#runs.delete(run.orderId);
  }

  all(): Run[] {
    return [...this.#runs.values()];
  }
}
