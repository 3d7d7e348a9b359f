import type { DatabaseSync, StatementSync } from "node:sqlite";
import { longestEventPauseMs } from "../../../src/journal/rules/pauses.ts";
import type { OutboxTable } from "../../../src/journal/rules/tables.ts";
import { EVENT_KEPT_MS, eventPayload } from "../../../src/orders/event-payload.ts";
import type { OrderEvent, OrderEventType } from "../../../src/orders/order-event.ts";
import type { DuePage } from "../../../src/retries/retry-queue.ts";
import { DueRows } from "./due-rows.ts";
import { rows } from "./rows.ts";

const ALL_TRIES = { from: 0, upTo: Number.MAX_SAFE_INTEGER - 1 };

/**
 * Events that wait for their delivery, and those that were given up. Only the first event of each order
 * has a next try. When that event goes, its successor gets one. So the events of an order are delivered in order.
 */
export class Outbox implements OutboxTable {
  readonly isEnabled: boolean;
  readonly #add: StatementSync;
  readonly #due: DueRows;
  readonly #event: StatementSync;
  readonly #failed: StatementSync;
  readonly #remove: StatementSync;
  readonly #promote: StatementSync;
  readonly #oldest: StatementSync;
  readonly #addDeadLetter: StatementSync;
  readonly #putBack: StatementSync;
  readonly #removeDeadLetter: StatementSync;
  readonly #expire: StatementSync;

  /** `enabled`: whether `add` adds. Events of earlier runs are delivered either way. */
  constructor(db: DatabaseSync, enabled: boolean) {
    this.isEnabled = enabled;
    const insert = "INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)";
    const firstOf = (order: string, nowMs: string) =>
      `CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE order_id = ${order}) THEN NULL ELSE ${nowMs} END`;
    this.#add = db.prepare(`${insert} VALUES (?1, ?2, ?3, ?4, ?4 + ${EVENT_KEPT_MS}, ${firstOf("?2", "?4")})`);
    this.#due = new DueRows(db, {
      table: "outbox",
      id: "seq",
      index: "outbox_due",
      where: "next_try_ms IS NOT NULL",
      longestPauseMs: longestEventPauseMs,
    });
    this.#event = db.prepare(
      "SELECT seq, id, order_id AS orderId, payload, created_ms AS createdMs, expires_ms AS expiresMs, tries FROM outbox WHERE seq = ?",
    );
    this.#failed = db.prepare("UPDATE outbox SET tries = tries + 1, next_try_ms = ? WHERE seq = ?");
    this.#remove = rows(db, "DELETE FROM outbox WHERE seq = ? RETURNING order_id");
    this.#promote = db.prepare(`
      UPDATE outbox SET next_try_ms = ?
      WHERE seq = (SELECT seq FROM outbox WHERE order_id = ? ORDER BY seq LIMIT 1) AND next_try_ms IS NULL
    `);
    this.#oldest = rows(db, "SELECT seq, expires_ms FROM outbox ORDER BY seq LIMIT ?");
    this.#addDeadLetter = db.prepare(`
      INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason)
      SELECT seq, id, order_id, payload, created_ms, ?, ? FROM outbox WHERE seq = ?
    `);
    this.#putBack = db.prepare(`
      ${insert} SELECT id, order_id, payload, created_ms, ?2 + ${EVENT_KEPT_MS}, ${firstOf("dead_letters.order_id", "?2")} FROM dead_letters WHERE seq = ?1
    `);
    this.#removeDeadLetter = rows(db, "DELETE FROM dead_letters WHERE seq = ? RETURNING order_id");
    this.#expire = db.prepare(
      "DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters WHERE given_up_ms < ? ORDER BY given_up_ms LIMIT ?)",
    );
  }

  add(type: OrderEventType, orderId: string, amount: number, attempt: number, error: string | null, nowMs: number): void {
    if (!this.isEnabled) return;
    const payload = eventPayload(type, orderId, amount, attempt, error, nowMs);
    // The global `crypto` is loaded with the first event: its module takes 4 MB, for nothing where there are no events.
    this.#add.run(`evt_${crypto.randomUUID()}`, orderId, payload, nowMs);
  }

  due(nowMs: number, limit: number, leastTried: boolean, except: readonly number[]): DuePage<OrderEvent> {
    const { ids, ...next } = this.#due.page({ parameters: [], tries: ALL_TRIES, nowMs, limit, leastTried, except });
    return { items: ids.map((seq) => this.#event.get(seq) as unknown as OrderEvent), ...next };
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
    this.#addDeadLetter.run(nowMs, reason, seq);
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

  /** Puts a dead letter back, behind all events of its order. Returns its order, undefined where there was none. */
  redeliver(seq: number, nowMs: number): string | undefined {
    this.#putBack.run(seq, nowMs);
    return (this.#removeDeadLetter.get(seq) as unknown as [orderId: string] | undefined)?.[0];
  }

  /** Deletes dead letters that were given up before, up to `limit` of the oldest. Returns how many. */
  expireDeadLetters(givenUpBeforeMs: number, limit: number): number {
    return Number(this.#expire.run(givenUpBeforeMs, limit).changes);
  }
}
