import type { DatabaseSync } from "node:sqlite";
import { pageOf } from "../../../src/journal/rules/page.ts";
import type { Reads } from "../../../src/journal/rules/reads.ts";
import type { DeadLetter } from "../../../src/orders/operator-journal.ts";

/** Events that were given up, in the order in which they were written. */
export function deadLetterList(db: DatabaseSync): Reads["deadLetters"] {
  const letters = db.prepare(
    `SELECT seq, id, order_id AS orderId, payload, created_ms AS createdMs, given_up_ms AS givenUpMs, reason
     FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  return (cursor, limit) => {
    const [after = 0] = cursor ?? [];
    return pageOf(letters.all(after, limit) as unknown as DeadLetter[], limit, ({ seq }) => [seq]);
  };
}
