import type { Cursor, DeadLetter, Page } from "../../../orders/operator-journal.ts";
import { pageOf } from "../../rules/page.ts";
import type { Sql, Statement } from "../sql.ts";

const PAGE: Statement = {
  name: "dead-letters",
  text: `
    SELECT seq, id, order_id, payload, created_ms, given_up_ms, reason FROM dead_letters
    WHERE seq > $1::bigint ORDER BY seq LIMIT $2::bigint`,
};

type Row = [seq: number, id: string, orderId: string, payload: string, createdMs: number, givenUpMs: number, reason: string];

/** Events that were given up, in the order in which they were written. */
export async function deadLetters(sql: Sql, cursor: Cursor | null, limit: number): Promise<Page<DeadLetter>> {
  const [after = 0] = cursor ?? [];
  const items = (await sql.rows<Row>(PAGE, [after, limit])).map(deadLetter);
  return pageOf(items, limit, ({ seq }) => [seq]);
}

function deadLetter([seq, id, orderId, payload, createdMs, givenUpMs, reason]: Row): DeadLetter {
  return { seq, id, orderId, payload, createdMs, givenUpMs, reason };
}
