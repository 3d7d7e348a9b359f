import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { KeysTable, KnownKey } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

/** Which attempt a client's key belongs to. */
export class IdempotencyKeys implements KeysTable {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #expire: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = rows(db, "SELECT body_hash, order_id, attempt FROM idempotency_keys WHERE key = ? AND client = ?");
    this.#put = db.prepare(`
      INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (key, client) DO UPDATE SET
        body_hash = excluded.body_hash, order_id = excluded.order_id, attempt = excluded.attempt, expires_ms = excluded.expires_ms
    `);
    this.#expire = db.prepare(`
      DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)
    `);
  }

  /** One that has expired stands until it is deleted: only then is the clock known to be right. */
  get(client: string, key: string): KnownKey | undefined {
    return this.#get.get(key, client) as unknown as KnownKey | undefined;
  }

  /** Stores the attempt that a key belongs to from now on, whatever it belonged to before. */
  put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void {
    this.#put.run(client, key, bodyHash, orderId, attempt, expiresMs);
  }

  /** Returns how many it deleted. */
  expire(nowMs: number, limit: number): number {
    return Number(this.#expire.run(nowMs, limit).changes);
  }
}
