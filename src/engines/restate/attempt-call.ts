import type { ByOrderId } from "../../orders/order-runs.ts";
import type { AttemptRequest, AttemptResult, AttemptState } from "./objects.ts";

/** One call for an attempt, and the requests of this node that share it: same order, same content. */
export class AttemptCall implements ByOrderId {
  readonly request: AttemptRequest;
  /** Rejects where no result can be had. */
  readonly result: Promise<AttemptResult>;
  readonly #result = Promise.withResolvers<AttemptResult>();
  nextInBucket: ByOrderId | undefined;
  /** The attempt that this call has joined, begun by a request of another node. */
  joined: AttemptState | undefined;
  /** The order runs with other content, so the call's invocation is canceled. */
  conflicts = false;
  #waiters = 0;
  #isOver = false;

  constructor(request: AttemptRequest) {
    this.request = request;
    this.result = this.#result.promise;
  }

  get orderId(): string {
    return this.request.orderId;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** No request waits any more. */
  get isAbandoned(): boolean {
    return this.#waiters === 0;
  }

  join(): void {
    this.#waiters++;
  }

  leave(): void {
    this.#waiters--;
  }

  /** The first one counts. */
  end(result: AttemptResult): void {
    this.#isOver = true;
    this.#result.resolve(result);
  }

  /** As `end`. */
  fail(error: unknown): void {
    this.#isOver = true;
    this.#result.reject(error);
  }
}
