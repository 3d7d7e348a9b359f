import type { EndedOrder } from "../../orders/ended-order.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import { monotonicMs } from "../../threads/index.ts";
import type { ReplacedThread } from "./messages.ts";
import { OrderSample } from "./order-sample.ts";

/** What has happened since the last message to the live page. Nothing is counted while no page is open. */
export class LiveEvents {
  /** How many orders that the last process left open the start has closed. */
  interrupted = 0;
  #orders: OrderSample | undefined;
  #since = nothing();

  orderEnded(order: EndedOrder): void {
    this.#orders?.add(order);
  }

  /** An order was refused before any of its steps began. */
  orderRefused(kind: ErrorKind): void {
    if (this.#orders !== undefined) this.#since.refused[kind] = (this.#since.refused[kind] ?? 0) + 1;
  }

  /** The journal has made so many requests durable. */
  committed(requests: number, milliseconds: number): void {
    if (this.#orders === undefined) return;
    const { commits } = this.#since;
    commits.count++;
    commits.requests += requests;
    commits.max_ms = Math.max(commits.max_ms, Math.round(milliseconds * 100) / 100);
  }

  threadReplaced(pool: string, id: number, reason: string): void {
    if (this.#orders !== undefined) this.#since.replaced.push({ id, pool, reason, at: monotonicMs() });
  }

  begin(): void {
    this.#orders = new OrderSample();
  }

  end(): void {
    this.#orders = undefined;
    this.#since = nothing();
  }

  /** Has an order shown when it ends, because one of its steps was shown while it ran. */
  expect(orderId: string): void {
    this.#orders?.expect(orderId);
  }

  /** Gives what has happened, and begins anew. Only between `begin` and `end`. */
  take() {
    const taken = { interrupted: this.interrupted, ...this.#since, ...(this.#orders as OrderSample).take() };
    this.#since = nothing();
    return taken;
  }
}

function nothing() {
  return {
    commits: { count: 0, requests: 0, max_ms: 0 },
    refused: {} as Partial<Record<ErrorKind, number>>,
    replaced: [] as ReplacedThread[],
  };
}
