import type { Cancelable } from "../threads/index.ts";
import type { StoredAnswer } from "./order-journal.ts";

/**
 * What nodes with one journal tell each other of the requests that wait for an attempt. Main thread only. What cannot be asked now is asked
 * again, so neither function fails.
 */
export interface OtherNodes {
  /**
   * A request here waits for an attempt that another node runs, until `scope` is canceled; until then that node learns that somebody waits.
   * Resolves when the attempt is closed: with its answer, or with undefined where nobody received that, so that the order may be placed
   * again. Resolves with undefined at the cancel too.
   */
  endOf(orderId: string, attempt: number, scope: Cancelable): Promise<StoredAnswer | undefined>;
  /**
   * No request here waits any more for an attempt that runs here. Tells whether one at another node does: soon, and then again and again
   * until the returned function is called or nobody waits. Where that cannot be asked nobody does: an order that was canceled can be placed
   * again, one that was placed for nobody cannot be taken back.
   */
  watchWaiters(orderId: string, attempt: number, onKnown: (isAwaited: boolean) => void): () => void;
}
