import type { DatabaseSync } from "node:sqlite";
import type { Readers } from "../../../src/journal/rules/reads.ts";
import type {
  ActionsTable,
  KeysTable,
  KnownKey,
  OpenAttemptsTable,
  RetiredOrdersTable,
  Tables,
} from "../../../src/journal/rules/tables.ts";
import type { OperatorActionName } from "../../../src/orders/operator-journal.ts";
import { attempts } from "./attempts.ts";
import { compensations } from "./compensations.ts";
import { outbox } from "./outbox.ts";
import { heldCompensations, type Restores, restoresOf } from "./restores.ts";
import { allOf, changeOf, fieldOf, rowOf } from "./rows.ts";

export interface SqliteTables extends Tables {
  readonly restores: Restores;
  readonly actions: ReturnType<typeof operatorActions>;
}

/** Every table with its statements, prepared once for the life of the thread. */
export function tablesOf(db: DatabaseSync, events: boolean): SqliteTables {
  const restores = restoresOf(db);
  return {
    open: openAttempts(db),
    attempts: attempts(db, restores.firstIds[0] ?? 0),
    retired: retiredOrders(db),
    keys: idempotencyKeys(db),
    compensations: compensations(db),
    held: heldCompensations(db),
    restores,
    outbox: outbox(db, events),
    actions: operatorActions(db),
  };
}

/** Attempts that run. */
export function openAttempts(db: DatabaseSync): OpenAttemptsTable {
  const add = changeOf(db, "INSERT INTO open_attempts (order_id, attempt, amount, accepted_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
  return {
    get: rowOf(db, "SELECT attempt, amount, accepted_ms FROM open_attempts WHERE order_id = ?"),
    add: (...row) => add(...row) === 1,
    remove: changeOf(db, "DELETE FROM open_attempts WHERE order_id = ?"),
    some: allOf(db, "SELECT order_id, attempt, amount, accepted_ms FROM open_attempts LIMIT ?"),
  };
}

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

type Row = [atMs: number, actor: string, action: OperatorActionName, detail: string | null];

/** What operators did, and who. */
function operatorActions(db: DatabaseSync): ActionsTable & { readonly of: Readers["actions"] } {
  const newestOf = allOf<[orderId: string, limit: number], Row>(
    db,
    "SELECT at_ms, actor, action, detail FROM operator_actions WHERE order_id = ? ORDER BY id DESC LIMIT ?",
  );
  return {
    add: changeOf(db, "INSERT INTO operator_actions (at_ms, actor, action, order_id, detail) VALUES (?, ?, ?, ?, ?)"),
    /** The newest of an order, oldest first. */
    of: (orderId, limit) =>
      newestOf(orderId, limit)
        .reverse()
        .map(([atMs, actor, action, detail]) => ({ atMs, actor, action, ...(detail !== null && { detail }) })),
    removeOf: changeOf(db, "DELETE FROM operator_actions WHERE order_id = ?"),
    expire: changeOf(
      db,
      `DELETE FROM operator_actions WHERE id IN (
         SELECT id FROM operator_actions WHERE order_id IS NULL AND at_ms < ? ORDER BY at_ms LIMIT ?)`,
    ),
  };
}

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
