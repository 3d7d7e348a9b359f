import type { OperationOf } from "../../protocol.ts";
import { LOCK_CLASS } from "../schema.ts";
import { type Sql, statement } from "../sql.ts";
import type { BatchTables } from "./batch-tables.ts";
import { ATTEMPT_COLUMNS, COMPENSATION_COLUMNS, type CompensationTuple, compensationRecord, loadAttempts, loadWhole } from "./rows.ts";

// `id + 0`: see `Statement`.
// The lock of a life that lives is not free. Held until the commit, so that a node which comes back finds its life ended or goes on.
const LOCK_LIFE = statement("try_lock_life")`SELECT pg_try_advisory_xact_lock($1, $2)`;
const END_LIFE = statement("end_life")`UPDATE nodes SET ended_ms = $2 WHERE life = $1 AND ended_ms IS NULL`;
const OPEN_ATTEMPTS = statement("open_attempts_of_life")`
    SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE open_by = $1 ORDER BY id + 0 LIMIT $2 FOR UPDATE`;
const TAKEN_COMPENSATIONS = statement("compensations_of_life")`
    SELECT ${COMPENSATION_COLUMNS} FROM compensations c WHERE taken_by = $1 AND state = 'trying' ORDER BY id + 0 LIMIT $2 FOR UPDATE`;
const OLD_ATTEMPTS = statement("old_attempts")`SELECT ${ATTEMPT_COLUMNS} FROM attempts a
         WHERE error IS NOT NULL AND ended_ms < $1 AND (ended_ms, id) > ($2, $3) ORDER BY ended_ms, id LIMIT $4 FOR UPDATE SKIP LOCKED`;

// Of each order of `OLD_ATTEMPTS` the newest attempt that is not among them. The one that runs, if any, is the newest: hence two.
const REST_OF_ORDERS = statement("rest_of_orders")`SELECT ${ATTEMPT_COLUMNS} FROM unnest($1::text[]) v (order_id) CROSS JOIN LATERAL (
           SELECT * FROM attempts WHERE order_id = v.order_id AND NOT id = ANY($2::bigint[]) ORDER BY attempt DESC LIMIT 2) a`;

/** What a dead life has left open. Ends it for good, unless it lives: then there is nothing of it. */
export async function loadOrphans(sql: Sql, tables: BatchTables, [, limit, nowMs, , life]: OperationOf<"closeInterrupted">): Promise<void> {
  if (life === undefined) return;
  const [free] = await sql.rows<[boolean]>(LOCK_LIFE, [LOCK_CLASS, life]);
  if (free?.[0] !== true) return;
  await sql.rows(END_LIFE, [life, nowMs]);
  const [open, taken] = await Promise.all([
    loadAttempts(sql, tables, OPEN_ATTEMPTS, [life, limit]),
    sql.rows<CompensationTuple>(TAKEN_COMPENSATIONS, [life, limit]),
  ]);
  tables.attempts.orphans.push(...open);
  for (const row of taken) tables.compensations.loadOrphan(compensationRecord(row));
  if (open.length < limit && taken.length < limit) tables.lifeOver = life;
}

/** Failed attempts that are old, with all that the rules ask before they delete one. */
export async function loadOldAttempts(
  sql: Sql,
  tables: BatchTables,
  [, endedBeforeMs, after, limit]: OperationOf<"retire">,
): Promise<void> {
  const [afterEndedMs = 0, afterId = 0] = after;
  const old = await loadAttempts(sql, tables, OLD_ATTEMPTS, [endedBeforeMs, afterEndedMs, afterId, limit]);
  tables.attempts.old = old;
  const ids = old.map(({ id }) => id as number);
  const orders = [...new Set(old.map(({ orderId }) => orderId))];
  await Promise.all([loadAttempts(sql, tables, REST_OF_ORDERS, [orders, ids]), loadWhole(sql, tables, ids)]);
}
