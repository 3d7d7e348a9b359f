import { type Cancelable, CancelScope } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { StoredAnswer } from "./order-journal.ts";
import { Refused } from "./refused.ts";

// What may come on top of the deadline until an attempt is closed: its compensations are waited for, or its node dies just before it is over
// and the others need a lease (5 s) to be sure. Longer only where the journal is away, and then a later request finds out as much as this one.
const PATIENCE_MS = 10_000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const ONCE = { once: true };

/** What nodes with one journal tell each other of waiting requests. Neither function fails: what cannot be asked now is asked again. */
export interface OtherNodes {
  /**
   * A request here waits for an attempt of another node, which learns of that, until `scope` is canceled. Resolves when the attempt is
   * closed: with its answer, or with undefined, as at the cancel, where nobody received that and the order may be placed again.
   */
  endOf(orderId: string, attempt: number, scope: Cancelable): Promise<StoredAnswer | undefined>;
  /**
   * No request here waits any more for an attempt that runs here. Tells again and again, until stopped or nobody waits, whether one
   * elsewhere does. Where that cannot be asked nobody does: a canceled order can be placed again, one placed for nobody cannot be taken
   * back.
   */
  watchWaiters(orderId: string, attempt: number, onKnown: (isAwaited: boolean) => void): () => void;
}

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

  /** Waits for an attempt to be closed: its answer, or undefined to ask the journal again. Throws `Refused` when it gives up. */
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
