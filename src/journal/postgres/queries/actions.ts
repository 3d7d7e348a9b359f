import type { OperatorAction, OperatorActionName } from "../../../orders/operator-journal.ts";
import type { Sql, Statement } from "../sql.ts";

const NEWEST: Statement = {
  name: "actions",
  text: `
    SELECT at_ms, actor, action, detail FROM operator_actions
    WHERE order_id = $1::text ORDER BY id DESC LIMIT $2::bigint`,
};

type Row = [atMs: number, actor: string, action: OperatorActionName, detail: string | null];

/** The newest actions about an order, oldest first. */
export async function actionsOn(sql: Sql, orderId: string, limit: number): Promise<readonly OperatorAction[]> {
  const found = await sql.rows<Row>(NEWEST, [orderId, limit]);
  return found.reverse().map(([atMs, actor, action, detail]) => ({ atMs, actor, action, ...(detail !== null && { detail }) }));
}
