import type { DatabaseSync } from "node:sqlite";
import type { KeysTable, KnownKey } from "../../../src/journal/rules/tables.ts";
import { changeOf, rowOf } from "./rows.ts";

/** Which attempt a client's key belongs to. One that has expired stands until it is deleted: only then is the clock known to be right. */
export function idempotencyKeys(db: DatabaseSync): KeysTable {
  return {
    get: rowOf<[client: string, key: string], KnownKey>(
      db,
      "SELECT body_hash, order_id, attempt FROM idempotency_keys WHERE key = ?2 AND client = ?1",
    ),
    put: changeOf(
      db,
      `INSERT INTO idempotency_keys (client, key, body_hash, expires_ms, order_id, attempt) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (key, client) DO UPDATE SET
         body_hash = excluded.body_hash, order_id = excluded.order_id, attempt = excluded.attempt, expires_ms = excluded.expires_ms`,
    ),
    expire: changeOf(
      db,
      "DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)",
    ),
  };
}
