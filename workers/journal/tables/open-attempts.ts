import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { OpenAttempt, OpenAttemptsTable } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

/** Attempts that run, one an order. Small: what ends is taken out. */
export class OpenAttempts implements OpenAttemptsTable {
  readonly #get: StatementSync;
  readonly #add: StatementSync;
  readonly #remove: StatementSync;
  readonly #some: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = rows(db, "SELECT attempt, amount, accepted_ms FROM open_attempts WHERE order_id = ?");
    this.#add = db.prepare("INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    this.#remove = db.prepare("DELETE FROM open_attempts WHERE order_id = ?");
    this.#some = rows(db, "SELECT order_id, attempt, amount, accepted_ms FROM open_attempts LIMIT ?");
  }

  get(orderId: string): OpenAttempt | undefined {
    return this.#get.get(orderId) as unknown as OpenAttempt | undefined;
  }

  /** Returns whether it was added: false where the order has one. */
  add(orderId: string, attempt: number, amount: number, acceptedMs: number): boolean {
    return this.#add.run(orderId, attempt, amount, acceptedMs).changes === 1;
  }

  remove(orderId: string): void {
    this.#remove.run(orderId);
  }

  /** Up to `limit` of them. */
  some(limit: number): [orderId: string, ...OpenAttempt][] {
    return this.#some.all(limit) as unknown as [string, ...OpenAttempt][];
  }
}
