import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Journal } from "../../src/journal/journal.ts";

/** A refund that an earlier run has left pending. */
export interface OldRefund {
  readonly orderId: string;
  readonly tries: number;
  /** How long it has been due, milliseconds. */
  readonly dueSinceMs: number;
}

/** An event that an earlier run has left in the outbox. */
export interface OldEvent {
  readonly id: string;
  readonly orderId: string;
  /** How long it has been due, milliseconds. */
  readonly dueSinceMs: number;
}

const DAY_MS = 86_400_000;

/** A journal in a directory of its own, filled by SQL as a long outage would have left it. Not open. */
export class OldRows implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "money-"));
  readonly file = join(this.directory, "orders.db");
  #reader: DatabaseSync | undefined;

  static async make(): Promise<OldRows> {
    const rows = new OldRows();
    await (await Journal.open(rows.file)).close();
    return rows;
  }

  /** Adds refunds, as another program can while a service has the file open. Returns the id of the first. */
  addRefunds(refunds: readonly OldRefund[]): number {
    const nowMs = Date.now();
    const ids: number[] = [];
    this.#write((db) => {
      const attempt = db.prepare(`
        INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer)
        VALUES (?, 1, 100, ?, ?, 'vendor_unavailable', 0, 1, '{"status":"error","order_id":"","steps":[]}')
      `);
      const refund = db.prepare(
        "INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms) VALUES (?, 'payment', 'pending', ?, ?)",
      );
      for (const { orderId, tries, dueSinceMs } of refunds) {
        const { lastInsertRowid: attemptId } = attempt.run(orderId, nowMs - DAY_MS, nowMs - DAY_MS);
        ids.push(Number(refund.run(attemptId, tries, nowMs - dueSinceMs).lastInsertRowid));
      }
    });
    return ids[0] as number;
  }

  addEvents(events: readonly OldEvent[]): void {
    const nowMs = Date.now();
    this.#write((db) => {
      // Of each order only the first event has a next try.
      const event = db.prepare(`
        INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms) VALUES (?1, ?2, ?3, ?4, ?4 + ${DAY_MS},
          CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE order_id = ?2) THEN NULL ELSE ?4 END)
      `);
      for (const { id, orderId, dueSinceMs } of events) {
        event.run(id, orderId, JSON.stringify({ type: "order.placed", data: { order_id: orderId } }), nowMs - dueSinceMs);
      }
    });
  }

  /** What the file has now, while a service writes it. */
  query<Row>(sql: string): Row[] {
    // Tests ask again and again.
    this.#reader ??= new DatabaseSync(this.file, { readOnly: true, timeout: 1_000 });
    return this.#reader.prepare(sql).all() as unknown as Row[];
  }

  #write(work: (db: DatabaseSync) => void): void {
    using db = new DatabaseSync(this.file, { timeout: 10_000 });
    db.exec("BEGIN IMMEDIATE");
    work(db);
    db.exec("COMMIT");
  }

  [Symbol.dispose](): void {
    this.#reader?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
