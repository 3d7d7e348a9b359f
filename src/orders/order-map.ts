import type { StepName } from "./steps.ts";

export interface OrderEntry {
  readonly orderId: string;
  /** For `OrderMap`. */
  nextInBucket: OrderEntry | undefined;
}

/** An order that was admitted and is being stored. */
export interface Arriving extends OrderEntry {
  readonly priority: number;
  readonly computing: readonly StepName[];
}

/**
 * Attempts in flight, or other objects with one for an order, by order id: a hash table with lists as buckets. Not a `Map`, for the reason
 * that `Places` explains: two of them cost 8 us more an order, 14 % of the CPU of a small one (docs/performance.md).
 */
export class OrderMap<Entry extends OrderEntry> {
  readonly #buckets: (Entry | undefined)[];

  /** `expected`: about the largest number of entries. With more a look-up takes longer. */
  constructor(expected: number) {
    this.#buckets = new Array<Entry | undefined>(2 ** Math.ceil(Math.log2(Math.max(1, expected)))).fill(undefined);
  }

  /** Two entries of one id may be here for a moment: one that has ended and its repeat. `get` finds the later one. */
  add(entry: Entry): void {
    const bucket = this.#bucketOf(entry.orderId);
    entry.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = entry;
  }

  get(orderId: string): Entry | undefined {
    let entry = this.#buckets[this.#bucketOf(orderId)];
    while (entry !== undefined && entry.orderId !== orderId) entry = entry.nextInBucket as Entry | undefined;
    return entry;
  }

  /** Removes this entry and no other of its id. Does nothing when it is not here. */
  remove(entry: Entry): void {
    const bucket = this.#bucketOf(entry.orderId);
    let before: OrderEntry | undefined;
    let each: OrderEntry | undefined = this.#buckets[bucket];
    while (each !== undefined && each !== entry) {
      before = each;
      each = each.nextInBucket;
    }
    if (each === undefined) return;
    if (before === undefined) this.#buckets[bucket] = entry.nextInBucket as Entry | undefined;
    else before.nextInBucket = entry.nextInBucket;
    // A dead entry in the old generation must not keep a live one in memory.
    entry.nextInBucket = undefined;
  }

  all(): Entry[] {
    const entries: Entry[] = [];
    for (let entry of this.#buckets) for (; entry !== undefined; entry = entry.nextInBucket as Entry | undefined) entries.push(entry);
    return entries;
  }

  // FNV-1a over UTF-16 units. Ids chosen to collide make one list of the orders in flight, which is bounded.
  #bucketOf(orderId: string): number {
    let hash = 0x811c9dc5;
    for (let index = 0; index < orderId.length; index++) hash = Math.imul(hash ^ orderId.charCodeAt(index), 0x01000193);
    // The last multiplication mixes the lowest bits least.
    return (hash ^ (hash >>> 15)) & (this.#buckets.length - 1);
  }
}
