import { CancelScope } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { StoredAnswer } from "./order-journal.ts";
import type { OtherNodes } from "./other-nodes.ts";
import { Refused } from "./refused.ts";

// What may come on top of the deadline until an attempt is closed: its compensations are waited for, or its node dies just before it is over
// and the others need a lease (5 s) to be sure. Longer only where the journal is away, and then a later request finds out as much as this one.
const PATIENCE_MS = 10_000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const ONCE = { once: true };

/** The requests here that wait for attempts of other nodes. Main thread only. */
export class Elsewhere {
  readonly #otherNodes: OtherNodes;
  readonly #limitMs: number;
  readonly #all = new CancelScope<CancelCause>();

  /** `orderTimeoutMs`: the deadline of an order, which other nodes are taken to have too. */
  constructor(otherNodes: OtherNodes, orderTimeoutMs: number) {
    this.#otherNodes = otherNodes;
    this.#limitMs = Math.min(orderTimeoutMs + PATIENCE_MS, LONGEST_TIMER_MS);
  }

  /**
   * Waits for an attempt to be closed. Resolves with its answer, or with undefined where the journal has to be asked again. Throws `Refused`
   * when the client hangs up (`signal` is aborted), after `cancelAll`, and when it takes far too long.
   */
  async endOf(orderId: string, attempt: number, signal: AbortSignal | undefined): Promise<StoredAnswer | undefined> {
    const scope = new CancelScope<CancelCause>();
    const leave = () => void scope.cancel("client_disconnected");
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave, ONCE);
    const link = scope.link(this.#all);
    const stopTimer = scope.cancelAfter(this.#limitMs);
    try {
      const answer = scope.cause === undefined ? await this.#otherNodes.endOf(orderId, attempt, scope) : undefined;
      if (answer === undefined && scope.cause !== undefined) throw refusalFor(scope.cause);
      return answer;
    } finally {
      stopTimer();
      link.unsubscribe();
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Nobody waits any more, now or later. */
  cancelAll(cause: CancelCause): void {
    this.#all.cancel(cause);
  }
}

function refusalFor(cause: CancelCause): Refused {
  switch (cause) {
    case "client_disconnected":
      return new Refused("canceled", "the client has gone");
    case "deadline":
      return new Refused("overloaded", "another node has this order, and how it ended is not known yet");
    default:
      return new Refused("shutting_down", "the server is shutting down");
  }
}
