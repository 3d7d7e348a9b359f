import { randomUUID } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { OrderEvent, OrderEventType } from "../../../src/orders/order-event.ts";
import { rows } from "./rows.ts";

/** Events that wait for their delivery, and those that were given up. */
export class Outbox {
  readonly #enabled: boolean;
  readonly #add: StatementSync;
  readonly #undelivered: StatementSync;
  readonly #remove: StatementSync;
  readonly #bury: StatementSync;

  /** `enabled`: whether `add` does anything. What an earlier run has left is there to be delivered either way. */
  constructor(db: DatabaseSync, enabled: boolean) {
    this.#enabled = enabled;
    this.#add = db.prepare("INSERT INTO outbox (id, order_id, payload, created_ms) VALUES (?, ?, ?, ?)");
    this.#undelivered = rows(db, "SELECT seq, id, order_id, payload, created_ms FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?");
    this.#remove = db.prepare("DELETE FROM outbox WHERE seq = ?");
    this.#bury = db.prepare(`
      INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason)
      SELECT seq, id, order_id, payload, created_ms, ?, ? FROM outbox WHERE seq = ?
    `);
  }

  add(type: OrderEventType, orderId: string, amount: number, attempt: number, error: string | null, nowMs: number): void {
    if (!this.#enabled) return;
    const data = { order_id: orderId, amount, attempt, ...(error !== null && { error }) };
    const payload = JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data });
    this.#add.run(`evt_${randomUUID()}`, orderId, payload, nowMs);
  }

  undelivered(afterSeq: number, limit: number): OrderEvent[] {
    const found = this.#undelivered.all(afterSeq, limit) as unknown as [number, string, string, string, number][];
    return found.map(([seq, id, orderId, payload, createdMs]) => ({ seq, id, orderId, payload, createdMs }));
  }

  remove(seq: number): void {
    this.#remove.run(seq);
  }

  giveUp(seq: number, reason: string, nowMs: number): void {
    this.#bury.run(nowMs, reason, seq);
    this.#remove.run(seq);
  }
}
