import type { Cursor, Page } from "../../orders/operator-journal.ts";

/** A page of up to `limit` items; a full one says where the next begins. */
export function pageOf<Item>(items: readonly Item[], limit: number, cursorOf: (last: Item) => Cursor): Page<Item> {
  const last = items.length < limit ? undefined : items.at(-1);
  return { items, ...(last !== undefined && { next: cursorOf(last) }) };
}
