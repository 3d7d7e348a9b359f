import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RetiredOrdersTable } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

/**
 * Orders whose last failed attempt was deleted, with its number. The next attempt counts on from there:
 * a provider may remember the keys of the calls before for longer than this journal does, and would answer it with them.
 */
export class RetiredOrders implements RetiredOrdersTable {
  readonly #get: StatementSync;
  readonly #put: StatementSync;

  #isEmpty: boolean;

  constructor(db: DatabaseSync) {
    this.#isEmpty = db.prepare("SELECT 1 FROM retired_orders LIMIT 1").get() === undefined;
    this.#get = rows(db, "SELECT attempt FROM retired_orders WHERE order_id = ?");
    this.#put = db.prepare(`
      INSERT INTO retired_orders (order_id, attempt) VALUES (?, ?) ON CONFLICT DO UPDATE SET attempt = max(attempt, excluded.attempt)
    `);
  }

  /** Known without a look into the table, to the connection that writes: every order asks. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** The last attempt, 0 for an order that was never retired. */
  lastAttempt(orderId: string): number {
    return (this.#get.get(orderId) as unknown as [number] | undefined)?.[0] ?? 0;
  }

  /** A later number that is there stays. */
  put(orderId: string, attempt: number): void {
    this.#isEmpty = false;
    this.#put.run(orderId, attempt);
  }
}
