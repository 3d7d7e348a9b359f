import type { Operation } from "../../protocol.ts";
import { type Sql, type Statement, statement } from "../sql.ts";
import type { BatchTables } from "./batch-tables.ts";
import { loadDueCompensations, loadDueEvents } from "./load-due.ts";
import { loadOldAttempts, loadOrphans } from "./load-others.ts";
import {
  ATTEMPT_COLUMNS,
  type AttemptTuple,
  attemptRow,
  COMPENSATION_COLUMNS,
  type CompensationTuple,
  compensationRecord,
  loadAttempts,
  loadWhole,
} from "./rows.ts";

const IS_HELD = "(SELECT id FROM compensations c WHERE c.state = 'held' AND c.attempt_id = a.id LIMIT 1) IS NOT NULL";
// An attempt that runs and the one before it are all that the rules look at.
const ATTEMPTS_OF_ORDERS = statement("attempts_of_orders")`SELECT ${ATTEMPT_COLUMNS}, ${IS_HELD}
         FROM unnest($1::text[]) v (order_id) CROSS JOIN LATERAL (
           SELECT * FROM attempts WHERE order_id = v.order_id ORDER BY attempt DESC LIMIT 2) a`;
const RETIRED = statement("retired")`SELECT order_id, attempt FROM retired_orders WHERE order_id = ANY ($1::text[])`;
// Locked, so that nobody binds them to another attempt meanwhile.
const KEYS = statement("keys")`SELECT k.client, k.key, k.body_hash, k.order_id, k.attempt
         FROM unnest($1::text[], $2::text[]) v (client, key)
         JOIN idempotency_keys k ON k.key = ANY (ARRAY[v.key]) AND k.client = v.client FOR UPDATE OF k`;
const ATTEMPTS_OF_KEYS = statement("attempts_of_keys")`SELECT ${ATTEMPT_COLUMNS}
         FROM unnest($1::text[], $2::text[]) v (client, key)
         JOIN idempotency_keys k ON k.key = ANY (ARRAY[v.key]) AND k.client = v.client
         JOIN attempts a ON a.order_id = ANY (ARRAY[k.order_id]) AND a.attempt = k.attempt`;
// With their siblings: whose last one is done is compensated, whoever does it. Locked in the order of their ids.
const COMPENSATIONS = statement("compensations")`SELECT ${COMPENSATION_COLUMNS}, coalesce(taken_by <> $2, false) FROM compensations c
         WHERE attempt_id = ANY (ARRAY(SELECT attempt_id FROM compensations WHERE id = ANY ($1::bigint[]))) ORDER BY c.id + 0 FOR UPDATE`;
const ATTEMPTS_OF_COMPENSATIONS = statement("attempts_of_compensations")`
    SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE a.id = ANY (ARRAY(SELECT attempt_id FROM compensations WHERE id = ANY ($1::bigint[])))`;
const HELD = statement("held")`SELECT DISTINCT attempt_id FROM compensations WHERE state = 'held' ORDER BY attempt_id LIMIT $1`;
const HELD_OF_ORDER = statement("held_of_order")`SELECT a.id FROM attempts a WHERE order_id = $1
         AND ${IS_HELD} ORDER BY attempt LIMIT $2`;
const LETTERS = statement("letters")`SELECT seq, order_id FROM dead_letters WHERE seq = ANY($1::bigint[]) ORDER BY seq FOR UPDATE`;
const OLDEST_EVENTS = statement("oldest_events")`
    SELECT seq, expires_ms FROM outbox WHERE taken_by IS NULL OR taken_by = $2 ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED`;
const EXPIRE_KEYS = statement("expire_keys")`${deleteFirst("idempotency_keys", "ctid", "expires_ms <= $1", "expires_ms")}`;
const EXPIRE_LETTERS = statement("expire_letters")`${deleteFirst("dead_letters", "seq", "given_up_ms < $1", "given_up_ms")}`;
const EXPIRE_ACTIONS = statement("expire_actions")`${deleteFirst("operator_actions", "id", "order_id IS NULL AND at_ms < $1", "at_ms")}`;

function deleteFirst(table: string, id: string, where: string, order: string): string {
  return `
    WITH gone AS (DELETE FROM ${table} WHERE ${id} = ANY (ARRAY(
      SELECT ${id} FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone`;
}

/** Loads what the operations of a batch name into its tables, inside its transaction. Deletes what is only to be deleted. */
export async function load(sql: Sql, tables: BatchTables, operations: readonly Operation[], life: number): Promise<void> {
  const orders = new Set<string>();
  const keys = new Map<string, readonly [client: string, key: string]>();
  const compensations = new Set<number>();
  const letters = new Set<number>();
  const others: Promise<void>[] = [];
  for (const operation of operations) {
    switch (operation[0]) {
      case "accept": {
        orders.add(operation[1]);
        const [, , , , client, key] = operation;
        if (client !== undefined && key !== undefined) keys.set(`${key} ${client}`, [client, key]);
        break;
      }
      case "answer":
        for (const [id] of operation[6]) compensations.add(id);
        break;
      case "compensationTried":
      case "takeCompensation":
      case "settleCompensation":
        compensations.add(operation[1]);
        break;
      case "redeliver":
        letters.add(operation[1]);
        break;
      case "takeCompensations":
        others.push(loadDueCompensations(sql, tables, operation));
        break;
      case "takeEvents":
        others.push(loadDueEvents(sql, tables, operation, life));
        break;
      case "closeInterrupted":
        others.push(loadOrphans(sql, tables, operation));
        break;
      case "retire":
        others.push(loadOldAttempts(sql, tables, operation));
        break;
      case "confirmRestore":
        others.push(loadHeld(sql, tables, operation[1], operation[3]));
        break;
      case "giveUpExpired":
        others.push(
          sql.rows<[number, number]>(OLDEST_EVENTS, [operation[4], life]).then((rows) => {
            tables.outbox.oldestEvents = rows;
          }),
        );
        break;
      case "expireKeys":
        others.push(countInto(sql, EXPIRE_KEYS, operation, (count) => (tables.keys.expired = count)));
        break;
      case "expireDeadLetters":
        others.push(countInto(sql, EXPIRE_LETTERS, operation, (count) => (tables.outbox.expiredDeadLetters = count)));
        break;
      case "expireActions":
        others.push(countInto(sql, EXPIRE_ACTIONS, operation, (count) => (tables.expiredActions = count)));
        break;
    }
  }
  await Promise.all([
    loadLetters(sql, tables, [...letters]),
    loadOrders(sql, tables, [...orders]),
    loadKeys(sql, tables, keys),
    loadCompensations(sql, tables, [...compensations], life),
    ...others,
  ]);
}

export async function loadOrders(sql: Sql, tables: BatchTables, orderIds: readonly string[]): Promise<void> {
  if (orderIds.length === 0) return;
  const [attempts, retired] = await Promise.all([
    sql.rows<readonly [...AttemptTuple, isHeld: boolean]>(ATTEMPTS_OF_ORDERS, [orderIds]),
    sql.rows<[string, number]>(RETIRED, [orderIds]),
  ]);
  for (const row of attempts) {
    tables.attempts.load(attemptRow(row as unknown as AttemptTuple));
    if (row[11]) tables.heldAttempts.add(row[0]);
  }
  for (const [orderId, attempt] of retired) tables.retiredAttempts.set(orderId, attempt);
}

async function loadLetters(sql: Sql, tables: BatchTables, seqs: readonly number[]): Promise<void> {
  if (seqs.length === 0) return;
  const letters = await sql.rows<[number, string]>(LETTERS, [seqs]);
  for (const [seq, orderId] of letters) tables.outbox.letters.set(seq, orderId);
  const orderIds = letters.map(([, orderId]) => orderId);
  await loadOrders(sql, tables, orderIds);
}

async function loadKeys(sql: Sql, tables: BatchTables, keys: ReadonlyMap<string, readonly [string, string]>): Promise<void> {
  if (keys.size === 0) return;
  const sorted = [...keys.keys()].sort().map((name) => keys.get(name) as readonly [string, string]);
  const names = [sorted.map(([client]) => client), sorted.map(([, key]) => key)];
  const [known] = await Promise.all([
    sql.rows<[string, string, string, string, number]>(KEYS, names),
    loadAttempts(sql, tables, ATTEMPTS_OF_KEYS, names),
  ]);
  for (const [client, key, ...rest] of known) tables.keys.load(client, key, rest);
}

async function loadCompensations(sql: Sql, tables: BatchTables, ids: readonly number[], life: number): Promise<void> {
  if (ids.length === 0) return;
  const [rows] = await Promise.all([
    sql.rows<readonly [...CompensationTuple, isElsewhere: boolean]>(COMPENSATIONS, [ids, life]),
    loadAttempts(sql, tables, ATTEMPTS_OF_COMPENSATIONS, [ids]),
  ]);
  for (const row of rows) {
    const record = compensationRecord(row as unknown as CompensationTuple);
    if (row[9]) tables.compensations.loadElsewhere(record);
    else tables.compensations.load(record);
  }
}

async function loadHeld(sql: Sql, tables: BatchTables, orderId: string | undefined, limit: number): Promise<void> {
  const found = await (orderId === undefined ? sql.rows<[number]>(HELD, [limit]) : sql.rows<[number]>(HELD_OF_ORDER, [orderId, limit]));
  const ids = found.map(([id]) => id);
  tables.toConfirm.set(orderId, ids);
  await loadWhole(sql, tables, ids);
}

async function countInto(
  sql: Sql,
  statement: Statement,
  [, beforeMs, limit]: readonly [string, number, number],
  into: (count: number) => void,
): Promise<void> {
  const [row] = await sql.rows<[number]>(statement, [beforeMs, limit]);
  into(row?.[0] ?? 0);
}
