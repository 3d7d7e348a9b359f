import type { DatabaseSync, StatementSync } from "node:sqlite";
import { pageOf } from "../../../src/journal/rules/page.ts";
import type { Cursor, DeadLetter, Page } from "../../../src/orders/operator-journal.ts";

/** Events that were given up, in the order in which they were written. */
export class DeadLetterList {
  readonly #after: StatementSync;

  constructor(db: DatabaseSync) {
    this.#after = db.prepare(
      `SELECT seq, id, order_id AS orderId, payload, created_ms AS createdMs, given_up_ms AS givenUpMs, reason
       FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?`,
    );
  }

  page(cursor: Cursor | null, limit: number): Page<DeadLetter> {
    const [after = 0] = cursor ?? [];
    return pageOf(this.#after.all(after, limit) as unknown as DeadLetter[], limit, ({ seq }) => [seq]);
  }
}
