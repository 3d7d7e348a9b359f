import type { OrderRun } from "./order-run.ts";
import type { StepName } from "./steps.ts";

/** An object that can be found by its order's id. */
export interface ByOrderId {
  readonly orderId: string;
  /** For `OrderRuns`. */
  nextInBucket: ByOrderId | undefined;
}

/** An order that was admitted and is being stored. */
export interface Arriving extends ByOrderId {
  readonly priority: number;
  readonly computing: readonly StepName[];
}

/**
 * The runs in flight, or other objects with one for an order, by order id: a hash table with lists as buckets. Main thread only.
 *
 * Lists in buckets instead of a `Map`, for the reason that `Slots` explains. Two `Map`s cost 8 us more an order, 14 % of the CPU of a
 * small one (docs/performance.md).
 */
export class OrderRuns<Run extends ByOrderId = OrderRun> {
  readonly #buckets: (Run | undefined)[];

  /** `expected`: about the largest number of runs. With more runs a look-up takes longer. */
  constructor(expected: number) {
    this.#buckets = new Array<Run | undefined>(2 ** Math.ceil(Math.log2(Math.max(1, expected)))).fill(undefined);
  }

  /** Two runs of one id may be here for a moment: one that has ended and its repeat. `get` finds the later one. */
  add(run: Run): void {
    const bucket = this.#bucketOf(run.orderId);
    run.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = run;
  }

  get(orderId: string): Run | undefined {
    let run = this.#buckets[this.#bucketOf(orderId)];
    while (run !== undefined && run.orderId !== orderId) run = run.nextInBucket as Run | undefined;
    return run;
  }

  /** Removes this run and no other of its id. Does nothing when it is not here. */
  remove(run: Run): void {
    const bucket = this.#bucketOf(run.orderId);
    let before: ByOrderId | undefined;
    let each: ByOrderId | undefined = this.#buckets[bucket];
    while (each !== undefined && each !== run) {
      before = each;
      each = each.nextInBucket;
    }
    if (each === undefined) return;
    if (before === undefined) this.#buckets[bucket] = run.nextInBucket as Run | undefined;
    else before.nextInBucket = run.nextInBucket;
    // A dead run in the old generation must not keep a live one in memory.
    run.nextInBucket = undefined;
  }

  /** All of them, in no particular order. */
  all(): Run[] {
    const runs: Run[] = [];
    for (let run of this.#buckets) for (; run !== undefined; run = run.nextInBucket as Run | undefined) runs.push(run);
    return runs;
  }

  // FNV-1a over UTF-16 units. Ids chosen to collide make one list of the runs in flight, which is bounded.
  #bucketOf(orderId: string): number {
    let hash = 0x811c9dc5;
    for (let index = 0; index < orderId.length; index++) hash = Math.imul(hash ^ orderId.charCodeAt(index), 0x01000193);
    // The last multiplication mixes the lowest bits least.
    return (hash ^ (hash >>> 15)) & (this.#buckets.length - 1);
  }
}
