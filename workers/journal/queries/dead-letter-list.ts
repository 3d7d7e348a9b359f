import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Cursor, DeadLetter, Page } from "../../../src/orders/operator-journal.ts";
import { rows } from "../tables/rows.ts";

/** Events that were given up, in the order in which they were written. */
export class DeadLetterList {
  readonly #page: StatementSync;

  constructor(db: DatabaseSync) {
    this.#page = rows(
      db,
      "SELECT seq, id, order_id, payload, created_ms, given_up_ms, reason FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?",
    );
  }

  page(cursor: Cursor | null, limit: number): Page<DeadLetter> {
    const [after = 0] = cursor ?? [];
    const found = this.#page.all(after, limit) as unknown as [number, string, string, string, number, number, string][];
    const items = found.map(([seq, id, orderId, payload, createdMs, givenUpMs, reason]) => ({
      seq,
      id,
      orderId,
      payload,
      createdMs,
      givenUpMs,
      reason,
    }));
    const last = items.length < limit ? undefined : items.at(-1);
    return { items, ...(last !== undefined && { next: [last.seq] }) };
  }
}
