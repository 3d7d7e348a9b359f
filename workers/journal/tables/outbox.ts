import type { DatabaseSync, StatementSync } from "node:sqlite";
import { EVENT_KEPT_MS, eventPayload } from "../../../src/orders/event-payload.ts";
import type { OrderEvent, OrderEventType } from "../../../src/orders/order-event.ts";
import type { DuePage } from "../../../src/retries/retry-queue.ts";
import { dueRanges } from "./due-ranges.ts";
import { rows } from "./rows.ts";

/**
 * Events that wait for their delivery, and those that were given up. Of each order only the first event has a next try; it
 * passes that on to its successor when it goes, which keeps the events of an order in order.
 */
export class Outbox {
  readonly #enabled: boolean;
  readonly #add: StatementSync;
  readonly #due: StatementSync;
  readonly #nextDue: StatementSync;
  readonly #failed: StatementSync;
  readonly #remove: StatementSync;
  readonly #promote: StatementSync;
  readonly #oldest: StatementSync;
  readonly #bury: StatementSync;
  readonly #dig: StatementSync;
  readonly #forget: StatementSync;
  readonly #expire: StatementSync;

  /** `enabled`: whether `add` does anything. What an earlier run has left is there to be delivered either way. */
  constructor(db: DatabaseSync, enabled: boolean) {
    this.#enabled = enabled;
    const insert = "INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)";
    const firstOf = (order: string, nowMs: string) =>
      `CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE order_id = ${order}) THEN NULL ELSE ${nowMs} END`;
    this.#add = db.prepare(`${insert} VALUES (?1, ?2, ?3, ?4, ?4 + ${EVENT_KEPT_MS}, ${firstOf("?2", "?4")})`);
    this.#due = rows(
      db,
      "SELECT seq, id, order_id, payload, created_ms, expires_ms, tries FROM outbox WHERE next_try_ms > ? AND next_try_ms <= ? ORDER BY next_try_ms LIMIT ?",
    );
    this.#nextDue = rows(db, "SELECT min(next_try_ms) FROM outbox WHERE next_try_ms > ?");
    this.#failed = db.prepare("UPDATE outbox SET tries = tries + 1, next_try_ms = ? WHERE seq = ?");
    this.#remove = rows(db, "DELETE FROM outbox WHERE seq = ? RETURNING order_id");
    this.#promote = db.prepare(`
      UPDATE outbox SET next_try_ms = ?
      WHERE seq = (SELECT seq FROM outbox WHERE order_id = ? ORDER BY seq LIMIT 1) AND next_try_ms IS NULL
    `);
    this.#oldest = rows(db, "SELECT seq, expires_ms FROM outbox ORDER BY seq LIMIT ?");
    this.#bury = db.prepare(`
      INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason)
      SELECT seq, id, order_id, payload, created_ms, ?, ? FROM outbox WHERE seq = ?
    `);
    this.#dig = db.prepare(`
      ${insert} SELECT id, order_id, payload, created_ms, ?2 + ${EVENT_KEPT_MS}, ${firstOf("dead_letters.order_id", "?2")} FROM dead_letters WHERE seq = ?1
    `);
    this.#forget = db.prepare("DELETE FROM dead_letters WHERE seq = ?");
    this.#expire = db.prepare(
      "DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters WHERE given_up_ms < ? ORDER BY given_up_ms LIMIT ?)",
    );
  }

  add(type: OrderEventType, orderId: string, amount: number, attempt: number, error: string | null, nowMs: number): void {
    if (!this.#enabled) return;
    const payload = eventPayload(type, orderId, amount, attempt, error, nowMs);
    // The global one: its module, 4 MB, is loaded with the first event, and where nobody gets any never.
    this.#add.run(`evt_${crypto.randomUUID()}`, orderId, payload, nowMs);
  }

  due(nowMs: number, limit: number): DuePage<OrderEvent> {
    const found: [number, string, string, string, number, number, number][] = [];
    for (const range of dueRanges(nowMs)) {
      if (found.length < limit) found.push(...(this.#due.all(...range, limit - found.length) as unknown as typeof found));
    }
    const items = found.map(([seq, id, orderId, payload, createdMs, expiresMs, tries]) => ({
      seq,
      id,
      orderId,
      payload,
      createdMs,
      expiresMs,
      tries,
    }));
    const [nextDueMs] = this.#nextDue.get(nowMs) as unknown as [number | null];
    return { items, ...(nextDueMs !== null && { nextDueMs }) };
  }

  failed(seq: number, nextTryMs: number): void {
    this.#failed.run(nextTryMs, seq);
  }

  /** Delivered: the next event of its order is due from now on. */
  remove(seq: number, nowMs: number): void {
    const removed = this.#remove.get(seq) as unknown as [orderId: string] | undefined;
    if (removed !== undefined) this.#promote.run(nowMs, removed[0]);
  }

  giveUp(seq: number, reason: string, nowMs: number): void {
    this.#bury.run(nowMs, reason, seq);
    this.remove(seq, nowMs);
  }

  /**
   * Gives up the oldest events whose time was over at `expiredMs`, up to `limit`. Returns how many. Looks at that many rows only: they
   * expire in the order they were written, but for what a step of the clock mixes up.
   */
  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): number {
    const oldest = this.#oldest.all(limit) as unknown as [seq: number, expiresMs: number][];
    const expired = oldest.filter(([, expiresMs]) => expiresMs <= expiredMs);
    for (const [seq] of expired) this.giveUp(seq, reason, nowMs);
    return expired.length;
  }

  /** Puts a dead letter back, behind all events of its order. Returns whether there was one. */
  redeliver(seq: number, nowMs: number): boolean {
    if (this.#dig.run(seq, nowMs).changes === 0) return false;
    this.#forget.run(seq);
    return true;
  }

  /** Deletes dead letters that were given up before, up to `limit` of the oldest. Returns how many. */
  expireDeadLetters(givenUpBeforeMs: number, limit: number): number {
    return Number(this.#expire.run(givenUpBeforeMs, limit).changes);
  }
}
