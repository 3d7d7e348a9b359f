import type { DatabaseSync } from "node:sqlite";
import type { RetiredOrdersTable } from "../../../src/journal/rules/tables.ts";
import { changeOf, fieldOf } from "./rows.ts";

/** Orders whose last failed attempt was deleted, with its number. `isEmpty` is right for the connection that writes. */
export function retiredOrders(db: DatabaseSync): RetiredOrdersTable {
  const lastAttempt = fieldOf<number>(db, "SELECT attempt FROM retired_orders WHERE order_id = ?");
  const put = changeOf(
    db,
    "INSERT INTO retired_orders (order_id, attempt) VALUES (?, ?) ON CONFLICT DO UPDATE SET attempt = max(attempt, excluded.attempt)",
  );
  const table = {
    isEmpty: fieldOf(db, "SELECT 1 FROM retired_orders LIMIT 1")() === undefined,
    lastAttempt: (orderId: string) => lastAttempt(orderId) ?? 0,
    put: (orderId: string, attempt: number) => {
      table.isEmpty = false;
      put(orderId, attempt);
    },
  };
  return table;
}
