import type { OtherNodes } from "../../src/orders/elsewhere.ts";
import type { StoredAnswer } from "../../src/orders/order-journal.ts";
import type { Cancelable } from "../../src/threads/index.ts";

/** A request that waits for another node's attempt, until the test says how that ended. */
export interface FakeWait {
  readonly orderId: string;
  readonly attempt: number;
  readonly scope: Cancelable;
  end(answer: StoredAnswer | undefined): void;
}

/** An attempt of this node that nobody here waits for. The test says whether somebody elsewhere does. */
export interface FakeWatch {
  readonly orderId: string;
  readonly attempt: number;
  tell(isAwaited: boolean): void;
  isStopped: boolean;
}

/** What the test says of other nodes, and nothing before it says so. */
export class FakeOtherNodes implements OtherNodes {
  /** All of them, in the order in which they began. */
  readonly waits: FakeWait[] = [];
  readonly watches: FakeWatch[] = [];

  endOf(orderId: string, attempt: number, scope: Cancelable): Promise<StoredAnswer | undefined> {
    const { promise, resolve } = Promise.withResolvers<StoredAnswer | undefined>();
    this.waits.push({ orderId, attempt, scope, end: resolve });
    scope.onCancel(() => resolve(undefined));
    return promise;
  }

  watchWaiters(orderId: string, attempt: number, onKnown: (isAwaited: boolean) => void): () => void {
    const watch: FakeWatch = {
      orderId,
      attempt,
      isStopped: false,
      tell(isAwaited) {
        if (!watch.isStopped) onKnown(isAwaited);
      },
    };
    this.watches.push(watch);
    return () => {
      watch.isStopped = true;
    };
  }
}
