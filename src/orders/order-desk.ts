import type { CancelCause } from "../concurrency/cancel-cause.ts";
import { CancelScope } from "../concurrency/cancel-scope.ts";
import { type AnswerBody, answerTo } from "./answer.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { Order } from "./order.ts";
import type { Pipeline } from "./pipeline.ts";

export interface OrderDeskOptions {
  readonly pipeline: Pipeline;
  readonly orderTimeoutMs: number;
  readonly maxInFlight: number;
}

/** Refused before any step ran. */
export class Refused extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** An order that was taken in. */
export interface Placement {
  /** When the order has ended. */
  readonly answer: Promise<AnswerBody>;
  /** The client is gone. The order is canceled when nobody waits for it any more. */
  leave(): void;
}

/** Where orders come in: admission, the scope of each order, and the drain at the end. Main thread only. */
export class OrderDesk {
  readonly #options: OrderDeskOptions;
  readonly #scopes = new Set<CancelScope>();
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(options: OrderDeskOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#scopes.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Starts an order. Throws `Refused` with `overloaded` or `shutting_down` when it cannot be taken in. */
  place(order: Order): Placement {
    if (this.#draining) throw new Refused("shutting_down", "the server is shutting down");
    if (this.#scopes.size >= this.#options.maxInFlight) throw new Refused("overloaded", "too many orders in flight");
    const scope = new CancelScope();
    this.#scopes.add(scope);
    return { answer: this.#run(order, scope), leave: () => void scope.cancel("client_disconnected") };
  }

  /** Takes no more orders and resolves when those in flight have been answered. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#scopes.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  /** Cancels every order in flight. */
  cancelAll(cause: CancelCause): void {
    for (const scope of [...this.#scopes]) scope.cancel(cause);
  }

  async #run(order: Order, scope: CancelScope): Promise<AnswerBody> {
    const stopTimer = scope.cancelAfter(this.#options.orderTimeoutMs);
    try {
      const { orderId, amount, simulation } = order;
      const input = { orderId, amount, attempt: 1, ...(simulation === undefined ? {} : { simulation }) };
      return answerTo(orderId, await this.#options.pipeline.run(input, scope));
    } finally {
      stopTimer();
      this.#scopes.delete(scope);
      if (this.#draining && this.#scopes.size === 0) this.#drained?.();
    }
  }
}
