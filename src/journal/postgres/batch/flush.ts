import { EVENT_KEPT_MS } from "../../rules/event-payload.ts";
import { BEGIN, COMMIT, type Sql, type Statement, statement } from "../sql.ts";
import type { BatchTables } from "./batch-tables.ts";
import { withoutNul } from "./binary-array.ts";
import { type Flushed, writeBatch } from "./write-batch.ts";

const REMOVE_COMPENSATIONS = statement("remove_compensations")`DELETE FROM compensations WHERE attempt_id = ANY($1::bigint[])`;
const REMOVE_ATTEMPTS = statement("remove_attempts")`DELETE FROM attempts WHERE id = ANY($1::bigint[])`;
const RETIRE = statement("retire")`INSERT INTO retired_orders (order_id, attempt) SELECT * FROM unnest($1::text[], $2::bigint[])
         ON CONFLICT (order_id) DO UPDATE SET attempt = greatest(retired_orders.attempt, excluded.attempt)`;
const CHANGE_KEYS = statement("change_keys")`
    UPDATE idempotency_keys k SET body_hash = v.body_hash, order_id = v.order_id, attempt = v.attempt, expires_ms = v.expires_ms
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
      v (client, key, body_hash, order_id, attempt, expires_ms)
    WHERE k.key = ANY (ARRAY[v.key]) AND k.client = v.client`;
const TAKE_EVENTS = statement("take_events")`UPDATE outbox SET taken_by = $2 WHERE seq = ANY($1::bigint[])`;
// Another node may send it by now, where that has ended the life which had it. What is told of it here must not let a third one send beside that.
const IS_NOT_ELSEWHERE = "(o.taken_by IS NULL OR o.taken_by = $1)";
const POSTPONE_EVENTS = statement("postpone_events")`UPDATE outbox o SET tries = tries + 1, next_try_ms = v.next_try_ms, taken_by = NULL
         FROM unnest($2::bigint[], $3::bigint[]) v (seq, next_try_ms) WHERE o.seq = ANY (ARRAY[v.seq]) AND ${IS_NOT_ELSEWHERE}
           AND (SELECT seq FROM outbox earlier WHERE earlier.order_id = o.order_id AND earlier.seq < o.seq LIMIT 1) IS NULL`;
const GIVE_UP_EVENTS = statement("give_up_events")`
    WITH gone AS (DELETE FROM outbox o USING unnest($2::bigint[], $3::text[], $4::bigint[]) v (seq, reason, now_ms)
      WHERE o.seq = ANY (ARRAY[v.seq]) AND ${IS_NOT_ELSEWHERE}
      RETURNING o.seq, o.id, o.order_id, o.payload, o.created_ms, v.now_ms, v.reason)
    INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason) SELECT * FROM gone`;
const REMOVE_EVENTS = statement("remove_events")`DELETE FROM outbox o WHERE seq = ANY($2::bigint[]) AND ${IS_NOT_ELSEWHERE}`;
const PUT_BACK = statement("put_back_letters")`
    WITH gone AS (DELETE FROM dead_letters d USING unnest($1::bigint[], $2::bigint[]) v (seq, now_ms) WHERE d.seq = ANY (ARRAY[v.seq])
      RETURNING d.id, d.order_id, d.payload, d.created_ms, v.now_ms)
    INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
    SELECT id, order_id, payload, created_ms, now_ms + ${EVENT_KEPT_MS}, now_ms FROM gone`;
const ADD_ACTIONS = statement("add_actions")`INSERT INTO operator_actions (at_ms, actor, action, order_id, detail)
         SELECT at_ms, actor, action, order_id, detail FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
           WITH ORDINALITY v (at_ms, actor, action, order_id, detail, place) ORDER BY place`;
const FORGET_ACTIONS = statement("forget_actions")`DELETE FROM operator_actions WHERE order_id = ANY($1::text[])`;
// What a life that is over held: its events are due for others, nobody waits at it, and its couriers are free.
const RELEASE_EVENTS = statement("release_events")`UPDATE outbox SET taken_by = NULL WHERE taken_by = $1`;
const RELEASE_WAITERS = statement("release_waiters")`DELETE FROM waiters WHERE life = $1`;
const FORGET_LIFE = statement("forget_life")`DELETE FROM nodes WHERE life = $1`;

const KEY_FIELDS = ["client", "key", "bodyHash", "orderId", "attempt", "expiresMs"] as const;

/**
 * Writes what a batch changed. Every node writes its tables, and the rows of each, in one order, so no two wait for each other.
 * `blindBatch`: the number of a batch for which nothing was looked up, a transaction of its own, mostly one statement; orders that are
 * known do not go in then. Otherwise the caller has begun the transaction and commits it, and an order that went in meanwhile at another
 * node fails it.
 */
export async function flush(sql: Sql, tables: BatchTables, life: number, blindBatch?: number): Promise<Flushed> {
  const { attempts, compensations, keys, outbox, retired, newlyRetired, newActions, forgottenActions, lifeOver } = tables;
  const rest: (readonly [Statement, readonly unknown[]])[] = [];
  const changedKeys = keys.bound(true);
  if (changedKeys.length > 0) rest.push([CHANGE_KEYS, columns(changedKeys, ...KEY_FIELDS)]);
  if (compensations.removed.length > 0) rest.push([REMOVE_COMPENSATIONS, [compensations.removed]]);
  if (attempts.removed.length > 0) rest.push([REMOVE_ATTEMPTS, [attempts.removed]]);
  if (newlyRetired.size > 0) rest.push([RETIRE, [[...newlyRetired], [...newlyRetired].map((orderId) => retired.lastAttempt(orderId))]]);
  if (outbox.taken.length > 0) rest.push([TAKE_EVENTS, [outbox.taken, life]]);
  if (outbox.postponed.length > 0) rest.push([POSTPONE_EVENTS, [life, ...columns(outbox.postponed, 0, 1)]]);
  if (outbox.givenUp.length > 0) rest.push([GIVE_UP_EVENTS, [life, ...columns(outbox.givenUp, 0, 1, 2)]]);
  if (outbox.removed.length > 0) rest.push([REMOVE_EVENTS, [life, outbox.removed]]);
  if (newActions.length > 0) rest.push([ADD_ACTIONS, columns(newActions, 0, 1, 2, 3, 4)]);
  if (forgottenActions.length > 0) rest.push([FORGET_ACTIONS, [forgottenActions]]);
  if (lifeOver !== undefined) for (const statement of [RELEASE_EVENTS, RELEASE_WAITERS, FORGET_LIFE]) rest.push([statement, [lifeOver]]);
  const isTransaction = blindBatch !== undefined && rest.length > 0;
  const sent: Promise<unknown>[] = [];
  if (isTransaction) sent.push(sql.rows(BEGIN));
  // Letters first: of an order the event that was given up is older than one that this batch adds.
  if (outbox.putBack.length > 0) sent.push(sql.rows(PUT_BACK, columns(outbox.putBack, 0, 1)));
  const written = writeBatch(sql, tables, life, blindBatch);
  sent.push(written, ...rest.map(([statement, values]) => sql.rows(statement, values)));
  if (isTransaction) sent.push(sql.rows(COMMIT));
  // The first error in their order: those after it only say that the transaction has failed.
  for (const outcome of await Promise.allSettled(sent)) if (outcome.status === "rejected") throw outcome.reason;
  return written;
}

/** Fields of rows as columns, as `unnest` wants them. */
function columns<Row>(rows: readonly Row[], ...fields: readonly (keyof Row)[]): unknown[][] {
  return fields.map((field) => rows.map((row) => withoutNul(row[field])));
}
