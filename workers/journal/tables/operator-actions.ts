import type { DatabaseSync } from "node:sqlite";
import type { ActionsTable } from "../../../src/journal/rules/tables.ts";
import type { OperatorActionName } from "../../../src/orders/operator-journal.ts";
import { allOf, changeOf } from "./rows.ts";

type Row = [atMs: number, actor: string, action: OperatorActionName, detail: string | null];

/** What operators did, and who. */
export function operatorActions(db: DatabaseSync): ActionsTable {
  const newestOf = allOf<[orderId: string, limit: number], Row>(
    db,
    "SELECT at_ms, actor, action, detail FROM operator_actions WHERE order_id = ? ORDER BY id DESC LIMIT ?",
  );
  return {
    add: changeOf(db, "INSERT INTO operator_actions (at_ms, actor, action, order_id, detail) VALUES (?, ?, ?, ?, ?)"),
    of: (orderId, limit) =>
      newestOf(orderId, limit)
        .reverse()
        .map(([atMs, actor, action, detail]) => ({ atMs, actor, action, ...(detail !== null && { detail }) })),
    removeOf: changeOf(db, "DELETE FROM operator_actions WHERE order_id = ?"),
    expire: changeOf(
      db,
      `DELETE FROM operator_actions WHERE id IN (
         SELECT id FROM operator_actions WHERE order_id IS NULL AND at_ms < ? ORDER BY at_ms LIMIT ?)`,
    ),
  };
}
