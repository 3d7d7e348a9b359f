import type { OrderEntry } from "../../../src/orders/order-map.ts";

/** `OrderMap` on a `Map`. */
export class OrderMap<Entry extends OrderEntry> {
  readonly #entries = new Map<string, Entry>();

  add(entry: Entry): void {
    this.#entries.set(entry.orderId, entry);
  }

  get(orderId: string): Entry | undefined {
    return this.#entries.get(orderId);
  }

  remove(entry: Entry): void {
    if (this.#entries.get(entry.orderId) === entry) this.#entries.delete(entry.orderId);
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }
}
