import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ActionsTable } from "../../../src/journal/rules/tables.ts";
import type { OperatorAction, OperatorActionName } from "../../../src/orders/operator-journal.ts";
import { rows } from "./rows.ts";

type Row = [atMs: number, actor: string, action: OperatorActionName, detail: string | null];

/** What operators did, and who. Written in the transaction of the act where the act is a write. */
export class OperatorActions implements ActionsTable {
  readonly #add: StatementSync;
  readonly #newestOf: StatementSync;
  readonly #removeOf: StatementSync;
  readonly #expire: StatementSync;

  constructor(db: DatabaseSync) {
    this.#add = db.prepare("INSERT INTO operator_actions (at_ms, actor, action, order_id, detail) VALUES (?, ?, ?, ?, ?)");
    this.#newestOf = rows(db, "SELECT at_ms, actor, action, detail FROM operator_actions WHERE order_id = ? ORDER BY id DESC LIMIT ?");
    this.#removeOf = db.prepare("DELETE FROM operator_actions WHERE order_id = ?");
    this.#expire = db.prepare(`
      DELETE FROM operator_actions WHERE id IN (
        SELECT id FROM operator_actions WHERE order_id IS NULL AND at_ms < ? ORDER BY at_ms LIMIT ?)
    `);
  }

  /** `orderId` null: about no order, or about one that the journal does not have any more, with which it could not be deleted. */
  add(atMs: number, actor: string, action: OperatorActionName, orderId: string | null, detail: string | null): void {
    this.#add.run(atMs, actor, action, orderId, detail);
  }

  /** The newest of an order, oldest first. */
  of(orderId: string, limit: number): OperatorAction[] {
    const found = this.#newestOf.all(orderId, limit) as unknown as Row[];
    return found.reverse().map(([atMs, actor, action, detail]) => ({ atMs, actor, action, ...(detail !== null && { detail }) }));
  }

  removeOf(orderId: string): void {
    this.#removeOf.run(orderId);
  }

  /** Deletes up to `limit` of those that are about no order and were done before a time, oldest first. Returns how many. */
  expire(beforeMs: number, limit: number): number {
    return Number(this.#expire.run(beforeMs, limit).changes);
  }
}
